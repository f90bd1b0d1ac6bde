package rates

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// answers are what the public servers send, shortened in places that are not read.
var answers = map[string]string{
	"coinbase": `{"data":{"amount":"67187.335","base":"BTC","currency":"USD"}}`,
	"kraken": `{"error":[],"result":{"XXBTZUSD":{"a":["67187.40000","1","1.000"],"b":["67187.30000","1","1.000"],` +
		`"c":["67187.335","0.00123082"],"v":["6152.77661756","7389.20"],"p":["67100.1","67100.2"],"t":[100,200],` +
		`"l":["66000.0","66000.0"],"h":["68000.0","68000.0"],"o":"67000.0"}}}`,
	"bitstamp": `{"timestamp":"1711356300","open":"67000","high":"68000","low":"66000","last":"67187.335",` +
		`"volume":"1234.5","vwap":"67100","bid":"67187","ask":"67188","side":"0","open_24":"66900","percent_change_24":"0.4"}`,
	"coingecko":       `{"bitcoin":{"usd":67187.335,"last_updated_at":1711356300}}`,
	"mempool.space":   `{"time":1711356300,"USD":67187.335,"EUR":61890,"GBP":53000,"CAD":91000,"CHF":60000,"AUD":102000,"JPY":10170000}`,
	"blockchain.info": `{"EUR":{"15m":1,"last":61890.1,"buy":1,"sell":1,"symbol":"EUR"},"USD":{"15m":1,"last":67187.335,"buy":1,"sell":1,"symbol":"USD"}}`,
}

func TestPresetsReadTheirAnswers(t *testing.T) {
	now := time.Unix(1711356360, 0)
	for _, name := range PresetNames() {
		s, ok := Preset(name)
		if !ok || s.Check() != nil {
			t.Fatal(name, s.Check())
		}
		q, err := s.read([]byte(answers[name]), "USD", now)
		if err != nil || q.perBTC.RatString() != "13437467/200" {
			t.Errorf("%s: got %v, %v", name, q.perBTC, err)
			continue
		}
		want := now
		if s.TimePath != "" {
			want = time.Unix(1711356300, 0)
		}
		if !q.at.Equal(want) || q.source != name {
			t.Errorf("%s: %+v", name, q)
		}
		if !s.serves("THB") {
			t.Errorf("%s is for some currencies only", name)
		}
	}
	if _, ok := Preset("mtgox"); ok {
		t.Error("an unknown preset was found")
	}
}

func TestReadRefuses(t *testing.T) {
	plain := Source{Name: "x", Path: "a.{cur}"}
	timed := Source{Name: "x", Path: "p", TimePath: "t"}
	for _, tt := range []struct {
		name   string
		source Source
		answer string
		want   string
	}{
		{"no JSON", plain, `<html>`, "not JSON"},
		{"nothing", plain, ``, "not JSON"},
		{"two values", plain, `{"a":{"usd":1}} {}`, "more than one"},
		{"no member", plain, `{"a":{"eur":1}}`, "nothing at"},
		{"not an object", plain, `{"a":5}`, "nothing at"},
		{"object", plain, `{"a":{"usd":{}}}`, "neither a number"},
		{"null", plain, `{"a":{"usd":null}}`, "neither a number"},
		{"word", plain, `{"a":{"usd":"much"}}`, "no decimal"},
		{"negative", plain, `{"a":{"usd":-1}}`, "no decimal"},
		{"zero", plain, `{"a":{"usd":0}}`, "out of all bounds"},
		{"huge", plain, `{"a":{"usd":1e16}}`, "out of all bounds"},
		{"exponent", plain, `{"a":{"usd":1e999999999}}`, "no decimal"},
		{"fraction", plain, `{"a":{"usd":"1/2"}}`, "no decimal"},
		{"long", plain, `{"a":{"usd":` + strings.Repeat("1", 65) + `}}`, "no decimal"},
		{"no time", timed, `{"p":1}`, "nothing at"},
		{"bad time", timed, `{"p":1,"t":"noon"}`, "number of seconds"},
		{"far time", timed, `{"p":1,"t":9999999999999999}`, "number of seconds"},
		{"kraken's refusal", presets[1], `{"error":["EQuery:Unknown asset pair"]}`, "nothing at"},
		{"two pairs", presets[1], `{"result":{"A":{"c":["1"]},"B":{"c":["2"]}}}`, "nothing at"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.source.read([]byte(tt.answer), "USD", time.Now())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSourceCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		Source
		want string
	}{
		{"own", Source{Name: "own", URL: "https://rates.example/{CUR}?key=a", Path: "$.data.0.price"}, ""},
		{"by path", Source{Name: "own", URL: "https://rates.example/all", Path: "{cur}"}, ""},
		{"one currency", Source{Name: "own", URL: "https://rates.example/usd", Path: "price", Currency: "USD"}, ""},
		{"loopback", Source{Name: "own", URL: "http://127.0.0.1:8/{CUR}", Path: "price"}, ""},
		{"private", Source{Name: "own", URL: "http://10.1.2.3/{CUR}", Path: "price"}, ""},
		{"service name", Source{Name: "own", URL: "http://ticker:80/{CUR}", Path: "price"}, ""},
		{"no name", Source{URL: "https://x.example/{CUR}", Path: "a"}, "not a name"},
		{"blank in name", Source{Name: "a b", URL: "https://x.example/{CUR}", Path: "a"}, "not a name"},
		{"no address", Source{Name: "a", Path: "a"}, "begin with http"},
		{"plain", Source{Name: "a", URL: "http://x.example/{CUR}", Path: "a"}, "https://"},
		{"public address", Source{Name: "a", URL: "http://8.8.8.8/{CUR}", Path: "a"}, "https://"},
		{"no path", Source{Name: "a", URL: "https://x.example/{CUR}"}, "JSON path"},
		{"empty part", Source{Name: "a", URL: "https://x.example/{CUR}", Path: "a..b"}, "empty part"},
		{"long path", Source{Name: "a", URL: "https://x.example/{CUR}", Path: Path(strings.Repeat("a.", 16) + "a")}, "more than 16"},
		{"empty part of time", Source{Name: "a", URL: "https://x.example/{CUR}", Path: "a", TimePath: "."}, "empty part"},
		{"no currency", Source{Name: "a", URL: "https://x.example/usd", Path: "price"}, "name the currency"},
		{"bad currency", Source{Name: "a", URL: "https://x.example/usd", Path: "price", Currency: "usdt"}, "ISO 4217"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.Check()
			if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ErrSource) && !errors.Is(err, ErrCurrency) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSettingsCheck(t *testing.T) {
	own := Source{Name: "own", URL: "https://x.example/usd", Path: "a", Currency: "USD"}
	for _, tt := range []struct {
		name    string
		s       Settings
		sources []Source
		want    string
	}{
		{"defaults", Settings{}, DefaultSources(), ""},
		{"one", Settings{}, []Source{own}, ""},
		{"none", Settings{}, nil, "between 1 and 16"},
		{"too many needed", Settings{MinSources: 2}, []Source{own}, "min_sources is 2"},
		{"negative", Settings{MinSources: -1}, []Source{own}, "min_sources is -1"},
		{"hasty", Settings{Refresh: time.Millisecond}, []Source{own}, "at least 1s"},
		{"age", Settings{MaxAge: time.Minute}, []Source{own}, "longer than refresh"},
		{"patient", Settings{Timeout: time.Hour}, []Source{own}, "between 100ms"},
		{"twice", Settings{}, []Source{own, own}, "two are called"},
		{"bad source", Settings{}, []Source{{Name: "a"}}, "bad source"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.s.Check(tt.sources)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := (Settings{}).Serves([]Source{own}, "USD"); err != nil {
		t.Error(err)
	}
	if err := (Settings{}).Serves([]Source{own}, "EUR"); !errors.Is(err, ErrCurrency) {
		t.Error(err)
	}
	if err := (Settings{MinSources: 2}).Serves([]Source{own, presets[0]}, "EUR"); !errors.Is(err, ErrCurrency) {
		t.Error(err)
	}
	if ID([]Source{own}) == ID(DefaultSources()) || ID(nil) == ID([]Source{own}) {
		t.Error("different sources have one id")
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range presets {
		f.Add([]byte(answers[s.Name]), string(s.Path), string(s.TimePath))
	}
	f.Add([]byte(`[[{"a":1}]]`), "0.*.a", "*.0.a")
	now := time.Now()
	f.Fuzz(func(t *testing.T, content []byte, path, timePath string) {
		s := Source{Name: "fuzz", Path: Path(path), TimePath: Path(timePath)}
		if s.Path.check() != nil {
			return
		}
		q, err := s.read(content, "USD", now)
		if err == nil && (q.perBTC.Cmp(minRate) < 0 || q.perBTC.Cmp(maxRate) > 0 || q.at.IsZero()) {
			t.Fatalf("%q at %q gave %+v", content, path, q)
		}
	})
}
