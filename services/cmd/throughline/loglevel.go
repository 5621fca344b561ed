package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newLogLevel() *cobra.Command {
	var address string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "log-level [level] [service]",
		GroupID: "look",
		Short:   "Read or change what a running process logs, service by service",
		Long: `Without a level it prints those of a process; with one (debug, info, warn, error) it changes that of a service, or of all. The change
lasts until the process ends; telemetry.log.level is where it begins. What may be in a line is the same at every level: no addresses, numbers,
names, tokens or texts of messages.`,
		Example: `  throughline log-level
  throughline log-level debug writer --admin http://writer-2:9100
  throughline log-level info --json`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Second)
			defer cancel()
			answer, err := askLogLevel(ctx, address, args)
			if err != nil {
				return err
			}
			if asJSON {
				_, err := cmd.OutOrStdout().Write(answer)
				return err
			}
			levels := map[string]string{}
			if err := json.Unmarshal(answer, &levels); err != nil {
				return fmt.Errorf("%s is not the admin address of a process: %w", address, err)
			}
			for _, name := range slices.Sorted(maps.Keys(levels)) {
				fmt.Fprintf(cmd.OutOrStdout(), "%-12s %s\n", name, strings.ToLower(levels[name]))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&address, "admin", "http://127.0.0.1:9100", "the process's admin `address`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for machines")
	return cmd
}

// askLogLevel reads the levels, or changes one first.
func askLogLevel(ctx context.Context, address string, args []string) ([]byte, error) {
	method, path, body := http.MethodGet, "/log-level", ""
	if len(args) > 0 {
		method, body = http.MethodPut, args[0]
	}
	if len(args) > 1 {
		path += "/" + url.PathEscape(args[1])
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(address, "/")+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("not reachable: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("not changed: %s", strings.TrimSpace(string(answer)))
	}
	return answer, err
}
