package browser

import (
	"context"

	"github.com/chromedp/cdproto/page"
)

// addScript runs a script in each page before the page's own.
func addScript(ctx context.Context, source string) error {
	_, err := page.AddScriptToEvaluateOnNewDocument(source).Do(ctx)
	return err
}
