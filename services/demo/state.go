package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// state is what a demo must find again when it is started on a folder once more: the same stream at the same moment, and the
// same addresses, because saved settings and clients remember them.
type state struct {
	Seed      uint64    `json:"seed"`
	Events    int       `json:"events"`
	Now       time.Time `json:"now"`
	Kafka     string    `json:"kafka"`
	Config    string    `json:"config"`
	Simulator string    `json:"simulator"`
	Console   string    `json:"console"`
	Admin     string    `json:"admin"`
	Ingest    string    `json:"ingest"`
	// Connect is where browsers meet the pages on their way to Salesforce; empty in folders of older programs: none.
	Connect string `json:"connect,omitempty"`
	// HTTP is where config speaks HTTP with JSON; empty in folders of older programs: nowhere.
	HTTP string `json:"http,omitempty"`
	// PubSub is where the simulated orgs tell of changes; empty in folders of older programs: nowhere.
	PubSub string `json:"pubsub,omitempty"`
}

const stateFile = "demo.json"

// loadState reads the folder's state, or makes and saves one.
func loadState(dir string, opts Options) (*state, error) {
	path := filepath.Join(dir, stateFile)
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		s := &state{}
		if err := json.Unmarshal(data, s); err != nil {
			return nil, fmt.Errorf("%s: %w; remove the folder to start afresh", path, err)
		}
		if s.Seed != opts.Seed || s.Events != opts.Events {
			return nil, fmt.Errorf("%s holds a run of %d events with seed %d; ask for the same, or choose another --dir", dir, s.Events, s.Seed)
		}
		return s, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	s := &state{Seed: opts.Seed, Events: opts.Events, Now: time.Now().UTC().Truncate(time.Millisecond)}
	if err := freeAddresses(&s.Kafka, &s.Config, &s.Simulator, &s.Console, &s.Admin, &s.Ingest, &s.Connect, &s.HTTP, &s.PubSub); err != nil {
		return nil, err
	}
	if data, err = json.MarshalIndent(s, "", "  "); err != nil {
		return nil, err
	}
	return s, writeFile(path, data)
}

// The ports of a demo lie below those that systems give out by themselves: Linux begins at 32768, the others at 49152. One that the
// system had chosen might be somebody else's by the time it is listened on, or when a demo that was stopped goes on.
const (
	firstPort = 12000
	ports     = 20000
)

// freeAddresses finds loopback ports that are free now. All are held until the last is found: one that was let go might be found
// again.
func freeAddresses(addresses ...*string) error {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for _, addr := range addresses {
		l, err := listenAnywhere()
		if err != nil {
			return err
		}
		held = append(held, l)
		*addr = l.Addr().String()
	}
	return nil
}

// listenAnywhere listens on a port that is free.
func listenAnywhere() (l net.Listener, err error) {
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(ports)))
		if l, err = net.Listen("tcp", addr); err == nil { //nolint:noctx // returns at once
			return l, nil
		}
	}
	return nil, err
}

// writeFile replaces a file whole, so that a kill leaves the old or the new one.
func writeFile(path string, data []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
