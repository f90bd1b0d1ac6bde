package demo

import (
	"fmt"
	"strings"
	"text/template"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// guide is what the demonstration prints. Its commands can be copied into a shell as they are.
var guide = template.Must(template.New("guide").Parse(`Caddy with the L402 gate listens on {{.URL}}
Its wallet is a sandbox: the invoices are real BOLT 11 for regtest, and no money moves.
The site:

{{.Site}}
1. Ask for the page. The answer is 402 with an invoice and a token:

   curl -i {{.URL}}{{.Path}}

2. Pay the invoice, which gives the preimage, the proof of payment:

   challenge=$(curl -si {{.URL}}{{.Path}} | grep -i '^www-authenticate: L402')
   token=$(echo "$challenge" | sed 's/.*macaroon="\([^"]*\)".*/\1/')
   invoice=$(echo "$challenge" | sed 's/.*invoice="\([^"]*\)".*/\1/')
   paid=$(curl -s -X POST http://{{.Admin}}/l402/sandbox/pay -d "{\"invoice\":\"$invoice\"}"); echo "$paid"
   preimage=$(echo "$paid" | sed 's/.*"preimage": *"\([^"]*\)".*/\1/')

3. Ask again with token and preimage. The answer is the page:

   curl -i -H "Authorization: L402 $token:$preimage" {{.URL}}{{.Path}}

Or let one command do all of it:

   {{.Program}} l402 get{{.AdminFlag}} {{.URL}}{{.Path}}

Look into what was bought:

   echo "$challenge" | {{.Program}} l402 decode -

Ctrl-C ends the demonstration.
`))

func (d *Demo) printGuide() error {
	adminFlag := ""
	if d.admin != caddy.DefaultAdminListen {
		adminFlag = " --admin " + d.admin
	}
	site := strings.ReplaceAll(strings.TrimRight(d.Site(), "\n"), "\n", "\n   ")
	err := guide.Execute(d.Out, map[string]string{
		"URL": d.url, "Path": Path, "Admin": d.admin, "AdminFlag": adminFlag,
		"Program": d.Program, "Site": "   " + site + "\n", "Price": pricing.Format(d.Price),
	})
	if err != nil {
		return fmt.Errorf("printing the guide: %w", err)
	}
	return nil
}
