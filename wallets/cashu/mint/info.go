package mint

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// infoAge is how long the mint's information is taken for current.
const infoAge = time.Hour

// Info is what a mint says about itself (NUT-06). Its texts are the mint's, and not to be trusted.
type Info struct {
	// Name is the mint's name.
	Name string
	// Version is its software, such as Nutshell/0.15.0.
	Version string
	// MOTD is its message of the day.
	MOTD string

	nuts map[string]json.RawMessage
}

// Info reads what the mint says about itself, and keeps it for an hour.
func (c *Client) Info(ctx context.Context) (*Info, error) {
	c.mu.Lock()
	info, age := c.info, c.cfg.Now().Sub(c.infoAt)
	c.mu.Unlock()
	if info != nil && age < infoAge {
		return info, nil
	}
	var answer struct {
		Name    string                     `json:"name"`
		Version string                     `json:"version"`
		MOTD    string                     `json:"motd"`
		Nuts    map[string]json.RawMessage `json:"nuts"`
	}
	if err := c.get(ctx, "v1/info", &answer); err != nil {
		return nil, fmt.Errorf("reading info at %s: %w", c.url, err)
	}
	info = &Info{Name: answer.Name, Version: answer.Version, MOTD: answer.MOTD, nuts: answer.Nuts}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.info, c.infoAt = info, c.cfg.Now()
	return info, nil
}

// Supports says whether the mint names a NUT as supported.
func (i *Info) Supports(nut int) bool {
	raw, ok := i.nuts[strconv.Itoa(nut)]
	if !ok {
		return false
	}
	var setting struct {
		Supported *bool `json:"supported"`
		Disabled  bool  `json:"disabled"`
	}
	if json.Unmarshal(raw, &setting) != nil {
		return true // NUT-15 and NUT-17 have lists of their own
	}
	return !setting.Disabled && (setting.Supported == nil || *setting.Supported)
}

// Cached says for how long the mint repeats its answer to the same POST (NUT-19), and whether it
// does at all. A duration of zero is for ever.
func (i *Info) Cached(path string) (time.Duration, bool) {
	var setting struct {
		TTL       *uint32 `json:"ttl"`
		Endpoints []struct {
			Method string `json:"method"`
			Path   string `json:"path"`
		} `json:"cached_endpoints"`
	}
	if json.Unmarshal(i.nuts["19"], &setting) != nil {
		return 0, false
	}
	for _, e := range setting.Endpoints {
		if e.Method == "POST" && e.Path == path {
			if setting.TTL == nil {
				return 0, true
			}
			return time.Duration(*setting.TTL) * time.Second, *setting.TTL > 0
		}
	}
	return 0, false
}
