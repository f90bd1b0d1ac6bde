package caddyl402

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
)

func init() { caddy.RegisterModule(new(foreignStorage)) }

// foreignStorage stands in for the Redis storage of another project, which is no dependency of
// this one: it takes any settings, so that what stands beside it can be checked.
type foreignStorage struct{}

func (*foreignStorage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.redis", New: func() caddy.Module { return new(foreignStorage) }}
}

func (*foreignStorage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		for d.NextBlock(0) {
			d.RemainingArgs()
		}
	}
	return nil
}

func (*foreignStorage) CertMagicStorage() (certmagic.Storage, error) {
	return &certmagic.FileStorage{Path: os.TempDir()}, nil // never used: nothing here is started
}

// readDocs gives the texts of README.md and everything below docs/, by path.
func readDocs(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	read := func(name string) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		docs[filepath.ToSlash(name)] = string(data)
	}
	read("README.md")
	err := filepath.WalkDir("docs", func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".md") {
			read(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) < 10 {
		t.Fatal("docs are missing:", len(docs))
	}
	return docs
}

// docBlock is a fenced block of a page.
type docBlock struct {
	info string // the words behind the fence, such as "caddyfile fragment"
	text string
	line int
}

// blocksOf finds the fenced blocks of a page.
func blocksOf(t *testing.T, name, doc string) (blocks []docBlock) {
	t.Helper()
	var open *docBlock
	for i, line := range strings.Split(doc, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &docBlock{info: strings.TrimSpace(info), line: i + 1}
		case fence:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block does not end", name, open.line)
	}
	return blocks
}

// wholeConfig makes a configuration of a block: "caddyfile" is one, "caddyfile fragment" stands in
// a site, "caddyfile options" in the global option.
func wholeConfig(b docBlock) (string, error) {
	switch b.info {
	case "caddyfile":
		return b.text, nil
	case "caddyfile fragment":
		return "{\n\tl402 {\n\t\twallet play sandbox\n\t}\n}\n" +
			"http://127.0.0.1:8402 {\n\tbind 127.0.0.1\n" + b.text + "}\n", nil
	case "caddyfile options":
		return "{\n\tl402 {\n" + b.text + "\t}\n}\nhttp://127.0.0.1:8402 {\n\tbind 127.0.0.1\n\tl402 10 sat\n}\n", nil
	}
	return "", fmt.Errorf("unknown kind of block %q", b.info)
}

const (
	exampleKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	// exampleURI and exampleOffer are the examples of NIP-47 and BOLT 12, which open nothing.
	exampleURI = "nostr+walletconnect://b889ff5b1513b641e2a139f661a661364979c5beee91842f8f0ef42ab558e9d4" +
		"?relay=wss%3A%2F%2Frelay.damus.io&secret=71a8c14c1407c113601079c4302dab36460f0ccd0ad506f1f2dc73b5100e4f3c"
	exampleSeed   = "half depart obvious quality work element tank gorilla view sugar picture humble" // of NUT-13
	exampleOffer  = "lno1pgx9getnwss8vetrw3hhyuckyypwa3eyt44h6txtxquqh7lz5djge4afgfjn7k4rgrkuag0jsd5xvxg"
	examplePhrase = "abandon ability able about above absent absorb abstract absurd abuse"
)

// TestDocsCaddyfiles adapts and validates every Caddyfile of the documentation. Validation dials
// nothing and reads no secret, so that paths such as /run/secrets/… need not be there.
func TestDocsCaddyfiles(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	for name, value := range map[string]string{
		"L402_SECRET": exampleKey, "HOOK_SECRET": exampleKey, "ROOT_KEY": exampleKey,
		"NWC": exampleURI, "ALICE_NWC": exampleURI, "LNC_PHRASE": examplePhrase, "OFFER": exampleOffer, "CASHU_SEED": exampleSeed,
		"PHOENIXD_PASSWORD": "p", "BOB_PASSWORD": "p", "REDIS_PASSWORD": "p",
	} {
		t.Setenv(name, value)
	}
	checked := 0
	for name, doc := range readDocs(t) {
		for _, b := range blocksOf(t, name, doc) {
			if kind, _, _ := strings.Cut(b.info, " "); kind != "caddyfile" {
				continue
			}
			checked++
			t.Run(fmt.Sprintf("%s:%d", name, b.line), func(t *testing.T) {
				text, err := wholeConfig(b)
				if err != nil {
					t.Fatal(err)
				}
				config, err := adapt(text)
				if err != nil {
					t.Fatal("adapting:", err)
				}
				var parsed caddy.Config
				if err := caddy.StrictUnmarshalJSON(config, &parsed); err != nil {
					t.Fatal(err)
				}
				if err := caddy.Validate(&parsed); err != nil {
					t.Fatal("validating:", err)
				}
			})
		}
	}
	if checked < 20 {
		t.Errorf("only %d Caddyfiles were found", checked)
	}
}

// TestDocsCheckIsStrict makes sure that the test above would notice.
func TestDocsCheckIsStrict(t *testing.T) {
	blocks := blocksOf(t, "x.md", "text\n```caddyfile fragment\nl402 10 sat {\n\tcolor red\n}\n```\n")
	if len(blocks) != 1 {
		t.Fatal(blocks)
	}
	text, err := wholeConfig(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adapt(text); err == nil || !strings.Contains(err.Error(), "color") {
		t.Error("an unknown option was adapted:", err)
	}
	if _, err := wholeConfig(docBlock{info: "caddyfile other"}); err == nil {
		t.Error("an unknown kind of block passed")
	}
}

var (
	linkPattern   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fencePattern  = regexp.MustCompile("(?ms)^```.*?^```$")
	codePattern   = regexp.MustCompile("`[^`\n]*`")
	headingMarkup = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchorsOf are the fragments that GitHub gives to the headings of a page.
func anchorsOf(doc string) map[string]bool {
	anchors := map[string]bool{}
	for line := range strings.Lines(fencePattern.ReplaceAllString(doc, "")) {
		title := strings.TrimLeft(line, "#")
		if title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		slug := strings.Map(unicode.ToLower, headingMarkup.ReplaceAllString(strings.TrimSpace(title), ""))
		anchors[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return anchors
}

// TestDocsLinks follows the links between the pages and to files of the repository.
func TestDocsLinks(t *testing.T) {
	docs := readDocs(t)
	followed := 0
	for name, doc := range docs {
		text := codePattern.ReplaceAllString(fencePattern.ReplaceAllString(doc, ""), "``")
		for _, link := range linkPattern.FindAllStringSubmatch(text, -1) {
			target := link[1]
			if strings.Contains(target, "://") {
				continue
			}
			followed++
			file, anchor, _ := strings.Cut(target, "#")
			file = path.Join(path.Dir(name), file)
			if target[0] == '#' {
				file = name
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, target)
			} else if anchor != "" && !anchorsOf(docs[file])[anchor] {
				t.Errorf("%s: %s has no heading for #%s", name, file, anchor)
			}
		}
	}
	if followed < 50 {
		t.Errorf("only %d links were found", followed)
	}
	for name := range docs {
		linked := false
		for other, doc := range docs {
			linked = linked || other != name && strings.Contains(doc, path.Base(name))
		}
		if !linked && name != "README.md" {
			t.Errorf("no page links to %s", name)
		}
	}
}

// Guards.
var (
	_ caddy.StorageConverter = (*foreignStorage)(nil)
	_ caddyfile.Unmarshaler  = (*foreignStorage)(nil)
)
