package configbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Run measures, writes a line per figure to w and the result as one JSON object in the last line, and returns it.
func Run(ctx context.Context, cfg Config, w io.Writer) (_ Result, err error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	p, err := newPlace()
	if err != nil {
		return Result{}, fmt.Errorf("bench config: %w", err)
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	m := &bench{cfg: cfg, w: w, place: p}
	if cfg.JSON {
		m.w = io.Discard
	}
	for _, part := range []struct {
		name    string
		measure func(context.Context) error
	}{{"fan-out", m.fanOut}, {"access tokens", m.tokens}, {"run log", m.runLogs}} {
		if err := part.measure(ctx); err != nil {
			return Result{}, fmt.Errorf("bench config: %s: %w", part.name, err)
		}
	}
	r := &m.result
	r.Name, r.Unit, r.Value = "config", "s", r.FanOut.Changes.Max/1000
	r.Ratio = r.FanOut.Changes.P50 / max(r.FanOut.Bare.P50, 0.001)
	r.Against = fmt.Sprintf("one integration from a bare gRPC server to %d streams", cfg.Watchers)
	line, err := json.Marshal(r)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", line)
	}
	return *r, err
}
