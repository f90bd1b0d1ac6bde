package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/client/netrc"
)

// netrcPrinted is the value of --netrc without a file.
const netrcPrinted = "-"

// errNoToken is returned where --netrc has nothing to write.
var errNoToken = errors.New("no token was needed, or what was bought is a credential of the Payment scheme, so there is no line for a netrc")

// checkNetrc notices a file that cannot take the line before something is paid.
func (o *getOptions) checkNetrc(host string) error {
	if o.netrc == "" || o.netrc == netrcPrinted {
		return nil
	}
	if err := netrc.Check(o.netrc, host); err != nil {
		return usageError("--netrc: %v", err)
	}
	return nil
}

// keepNetrc writes the token that was presented into the file, or gives its line to be printed. What
// was paid for is written down even where the answer is an error.
func (p *output) keepNetrc(ctx context.Context, result *client.Result, err error) (line string, _ error) {
	name := p.options.netrc
	switch {
	case name == "" || err != nil && result.Purchase == nil:
		return "", err
	case result.Credential == "":
		return "", errors.Join(err, errNoToken)
	}
	if name == netrcPrinted {
		line, lineErr := netrc.Line(result.CredentialHost, result.Credential)
		if lineErr != nil {
			lineErr = fmt.Errorf("printing the line for a netrc: %w", lineErr)
		}
		result.Saved = result.Saved || lineErr == nil
		return line, errors.Join(err, lineErr)
	}
	// The user may have given up waiting; the money is spent all the same.
	if fileErr := netrc.Update(context.WithoutCancel(ctx), name, result.CredentialHost, result.Credential); fileErr != nil {
		return "", errors.Join(err, fmt.Errorf("keeping the token: %w", fileErr))
	}
	result.Saved = true
	p.say("the token for %s stands in %s", result.CredentialHost, name)
	return "", err
}
