package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "keys",
		GroupID: "serve",
		Short:   "Look at keys and rotate them, while everything runs",
		Long: `The installation's key, in installation_key_file, seals credentials and wraps workspaces' keys. A key goes through these states:

  standby   opens, seals nothing yet: every process is getting it
  primary   seals
  retired   opens what it has sealed
  disabled  neither; can be enabled again
  deleted   gone for good, with all that it has sealed

Rotate in this order. No process stops or restarts:

  1. keys rotate            a standby key is in the file; where hosts have files of their own, copy it to all of them now
  2. keys promote <key>     processes seal with it within seconds; config seals again, in the background, what it has stored
  3. keys list              until the old key has sealed nothing that is stored; keys rewrap hurries
  4. keys disable <key>     when the dead letters that it has sealed have expired
  5. keys delete <key>      when nothing was missed, and no backup that needs it

With --workspace, list, rotate and promote are about a workspace's own sealing key, for personal data. There old keys stay, for topics hold
what they have sealed.`,
		Example: `  throughline keys list
  throughline keys rotate && throughline keys promote 1905023417
  throughline keys rewrap --json
  throughline keys disable 2718281828
  throughline keys rotate --workspace acme
  throughline keys wrap --config throughline.yaml      # into the key service that key_service.key_uri names`,
	}
	cmd.AddCommand(newKeysList(), newKeysRotate(), newKeysPromote(), newKeysRewrap(),
		newKeysDisable(), newKeysEnable(), newKeysDelete(), newKeysWrap(), newKeysDestroy())
	return cmd
}

// keyTool is what the subcommands work with.
type keyTool struct {
	target    target
	workspace string
	asJSON    bool

	cfg    *app.Config
	file   seal.File
	config configv1.KeyServiceClient
	out    io.Writer
	now    func() time.Time
}

// command makes a subcommand that runs do with the configuration loaded.
func (k *keyTool) command(cmd *cobra.Command, do func(ctx context.Context, args []string) error) *cobra.Command {
	k.target.register(cmd)
	cmd.Flags().BoolVar(&k.asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, conn, err := k.target.dial()
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if k.file, err = cfg.KeyFile(); err != nil {
			return err
		}
		k.cfg, k.config, k.out, k.now = cfg, configv1.NewKeyServiceClient(conn), cmd.OutOrStdout(), time.Now
		return do(cmd.Context(), args)
	}
	return cmd
}

func (k *keyTool) ofWorkspace(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVarP(&k.workspace, "workspace", "w", "", "this workspace's sealing key, not the installation's")
	return cmd
}

func keyID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil || id == 0 {
		return 0, fmt.Errorf("%q is not a key's id: keys list shows them", text)
	}
	return uint32(id), nil
}

// keyLine is one key as it is printed.
type keyLine struct {
	seal.KeyInfo
	// Values is how many stored values the key has sealed; nil if config could not be asked or it is a workspace's.
	Values *int32 `json:"values,omitempty"`
}

// keyList is the answer of `keys list`.
type keyList struct {
	Workspace  string       `json:"workspace,omitempty"`
	Keys       []keyLine    `json:"keys"`
	Unreadable []unreadable `json:"unreadable,omitempty"`
	// Problem is why the stored values are not counted.
	Problem string `json:"problem,omitempty"`
}

type unreadable struct {
	Workspace string `json:"workspace"`
	Kind      string `json:"kind"`
	ID        string `json:"id"`
}

// addUse counts what each key has sealed.
func (l *keyList) addUse(use *configv1.KeyUse) {
	counts := map[uint32]int32{}
	for _, c := range use.GetCounts() {
		counts[c.GetKeyId()] = c.GetValues()
	}
	for n := range l.Keys {
		values := counts[l.Keys[n].ID]
		l.Keys[n].Values = &values
	}
	for _, v := range use.GetUnreadable() {
		l.Unreadable = append(l.Unreadable, unreadable{v.GetWorkspace(), v.GetKind(), v.GetId()})
	}
}

func (k *keyTool) print(list keyList) error {
	if k.asJSON {
		return json.NewEncoder(k.out).Encode(list)
	}
	t := screen.NewTable(k.out, "key", "state", "made", "promoted", "retired", "values")
	for _, l := range list.Keys {
		values := "?"
		if l.Values != nil {
			values = strconv.Itoa(int(*l.Values))
		}
		t.AppendRow(screen.Row{l.ID, string(l.State), day(l.Made), day(l.Promoted), day(l.Retired), values})
	}
	t.Render()
	var errs []error
	say := func(format string, args ...any) {
		_, err := fmt.Fprintf(k.out, format+"\n", args...)
		errs = append(errs, err)
	}
	for _, v := range list.Unreadable {
		say("✗ does not open: %s %s of workspace %s; enter it again, or restore the key", v.Kind, v.ID, v.Workspace)
	}
	if list.Problem != "" {
		say("stored values are not counted: %s", list.Problem)
	}
	return errors.Join(errs...)
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02 15:04")
}

// done prints what a change has come to: as JSON the change itself, and for people what comes next.
func (k *keyTool) done(change map[string]any, next string) error {
	if k.asJSON {
		return json.NewEncoder(k.out).Encode(change)
	}
	_, err := fmt.Fprintln(k.out, next)
	return err
}

func message(err error) string { return status.Convert(err).Message() }
