package paywall

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"rsc.io/qr"
)

const (
	// quiet is the margin around the code, in modules; the standard (ISO/IEC 18004) wants four.
	quiet = 4
	// maxQRText is the longest text that is drawn. Phones do not read greater codes from a screen,
	// and they would make the page heavy.
	maxQRText = 1000
)

// qrCode draws a text as an SVG element, or returns nothing for a text that is too long. Invoices and
// their scheme come in upper case, which makes the code smaller (alphanumeric mode) and which bech32
// (BIP 173) allows.
func qrCode(text, label string) template.HTML {
	if len(text) > maxQRText {
		return ""
	}
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return ""
	}
	size := code.Size + 2*quiet
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="qr" role="img" aria-label="%s" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path stroke="#000" d="`,
		template.HTMLEscapeString(label), size, size, size, size)
	for y := range code.Size {
		at := -1 // where the pen is in this row, if it was set down
		for x := 0; x < code.Size; x++ {
			if !code.Black(x, y) {
				continue
			}
			begin := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if at < 0 {
				b.WriteString("M" + strconv.Itoa(begin+quiet) + " " + strconv.Itoa(y+quiet) + ".5")
			} else {
				b.WriteString("m" + strconv.Itoa(begin-at) + " 0")
			}
			b.WriteString("h" + strconv.Itoa(x-begin))
			at = x
		}
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String())
}
