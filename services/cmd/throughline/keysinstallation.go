package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func newKeysList() *cobra.Command {
	var k keyTool
	return k.ofWorkspace(k.command(&cobra.Command{
		Use:   "list",
		Short: "Keys, their states, and how much of what is stored each has sealed",
		Example: `  throughline keys list
  throughline keys list --json
  throughline keys list --workspace acme`,
		Args: cobra.NoArgs,
	}, func(ctx context.Context, _ []string) error {
		if k.workspace != "" {
			return k.listWorkspace(ctx)
		}
		list, err := k.list(ctx)
		return errors.Join(err, k.print(list))
	}))
}

// list reads the file, and from config what its keys are needed for. That config does not answer is not an error.
func (k *keyTool) list(ctx context.Context) (keyList, error) {
	inst, err := k.file.Load()
	if err != nil {
		return keyList{}, err
	}
	keys, err := inst.Keys()
	if err != nil {
		return keyList{}, err
	}
	list := keyList{}
	for _, info := range keys {
		list.Keys = append(list.Keys, keyLine{KeyInfo: info})
	}
	use, err := k.config.GetKeyUse(ctx, &configv1.GetKeyUseRequest{})
	if err != nil {
		list.Problem = message(err)
		return list, nil
	}
	list.addUse(use.GetUse())
	return list, nil
}

func newKeysRotate() *cobra.Command {
	var k keyTool
	return k.ofWorkspace(k.command(&cobra.Command{
		Use:   "rotate",
		Short: "Begin a rotation: add a standby key",
		Long: `Adds a key that opens and does not seal yet. Promote it when every process has it: those that share installation_key_file have it within
installation_key_reload (5 s); copies of the file must be replaced first.`,
		Example: "  throughline keys rotate\n  throughline keys rotate --workspace acme",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, _ []string) error {
		if k.workspace != "" {
			return k.rotateWorkspace(ctx)
		}
		id, err := k.file.AddKey(k.now())
		if err != nil {
			return err
		}
		return k.done(map[string]any{"key": id, "state": seal.KeyStandby},
			fmt.Sprintf("key %d stands by. When every process has it: throughline keys promote %d", id, id))
	}))
}

func newKeysPromote() *cobra.Command {
	var k keyTool
	var now bool
	cmd := k.ofWorkspace(k.command(&cobra.Command{
		Use:   "promote <key>",
		Short: "Let the standby key seal; the former one only opens from then on",
		Example: `  throughline keys promote 1905023417
  throughline keys promote 1905023417 --workspace acme`,
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, args []string) error {
		id, err := keyID(args[0])
		if err != nil {
			return err
		}
		if k.workspace != "" {
			return k.promoteWorkspace(ctx, id, now)
		}
		if err := k.file.Promote(id, k.now()); err != nil {
			return err
		}
		return k.done(map[string]any{"key": id, "state": seal.KeyPrimary},
			fmt.Sprintf("key %d seals. config seals again what it has stored; throughline keys list tells how far it is", id))
	}))
	cmd.Flags().BoolVar(&now, "now", false, "with --workspace: do not wait, every service is known to have the key")
	return cmd
}

func newKeysRewrap() *cobra.Command {
	var k keyTool
	return k.command(&cobra.Command{
		Use:   "rewrap",
		Short: "Seal again, with the primary key, what older keys have sealed",
		Long: `config does this by itself after a rotation, at every start and every hour. This hurries it and tells what is left. It may be
interrupted and begun again at any time.`,
		Example: "  throughline keys rewrap",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, _ []string) error {
		answer, err := k.config.RewrapSecrets(ctx, &configv1.RewrapSecretsRequest{})
		if err != nil {
			return err
		}
		left := int32(0)
		for _, c := range answer.GetUse().GetCounts() {
			if c.GetKeyId() != answer.GetUse().GetPrimaryKeyId() {
				left += c.GetValues()
			}
		}
		change := map[string]any{
			"resealed": answer.GetResealed(), "left": left, "unreadable": answer.GetUse().GetUnreadableCount(),
			"primary": answer.GetUse().GetPrimaryKeyId(),
		}
		return k.done(change, fmt.Sprintf("sealed again: %d; still under older keys: %d; do not open: %d",
			answer.GetResealed(), left, answer.GetUse().GetUnreadableCount()))
	})
}

func newKeysDisable() *cobra.Command {
	var k keyTool
	var lose bool
	cmd := k.command(&cobra.Command{
		Use:   "disable <key>",
		Short: "Make a retired key open nothing any more, if nothing needs it",
		Long: `Refused while config has something stored under the key, and until the dead letters that it has sealed have expired
(topics.dead_letter_retention after it was retired).`,
		Example: `  throughline keys disable 2718281828
  throughline keys disable 2718281828 --lose-dead-letters   # its dead letters cannot be replayed from then on`,
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, args []string) error {
		id, err := keyID(args[0])
		if err != nil {
			return err
		}
		if err := k.mayDisable(ctx, id, lose); err != nil {
			return err
		}
		if err := k.file.Disable(id); err != nil {
			return err
		}
		return k.done(map[string]any{"key": id, "state": seal.KeyDisabled},
			fmt.Sprintf("key %d is disabled. Was something missed: throughline keys enable %d", id, id))
	})
	cmd.Flags().BoolVar(&lose, "lose-dead-letters", false, "do not wait for the dead letters sealed with it")
	return cmd
}

// minRetired is how long a key must have been retired in any case: a process may have sealed with it a moment ago.
const minRetired = 10 * time.Minute

func (k *keyTool) mayDisable(ctx context.Context, id uint32, lose bool) error {
	inst, err := k.file.Load()
	if err != nil {
		return err
	}
	use, err := k.config.GetKeyUse(ctx, &configv1.GetKeyUseRequest{})
	if err != nil {
		return fmt.Errorf("whether key %d is needed cannot be told: %s", id, message(err))
	}
	if use.GetUse().GetPrimaryKeyId() != inst.Primary() {
		return fmt.Errorf("config still seals with key %d, not with %d as this file says: copy the file there first",
			use.GetUse().GetPrimaryKeyId(), inst.Primary())
	}
	for _, c := range use.GetUse().GetCounts() {
		if c.GetKeyId() == id && c.GetValues() > 0 {
			return fmt.Errorf("%d stored values need key %d: run keys rewrap; keys list names what does not open", c.GetValues(), id)
		}
	}
	keys, err := inst.Keys()
	if err != nil {
		return err
	}
	for _, info := range keys {
		if info.ID != id || info.State != seal.KeyRetired {
			continue // Disable says what is wrong
		}
		wait := k.cfg.Topics.DeadLetterRetention
		if lose {
			wait = minRetired
		}
		if free := info.Retired.Add(wait); info.Retired.IsZero() && !lose || k.now().Before(free) {
			return fmt.Errorf("dead letters sealed with key %d may be there until %s: wait, or give them up with --lose-dead-letters (%s after it was retired at the earliest)",
				id, day(free), minRetired)
		}
	}
	return nil
}

func newKeysEnable() *cobra.Command {
	var k keyTool
	return k.command(&cobra.Command{
		Use: "enable <key>", Short: "Let a disabled key open again", Example: "  throughline keys enable 2718281828", Args: cobra.ExactArgs(1),
	}, func(_ context.Context, args []string) error {
		id, err := keyID(args[0])
		if err != nil {
			return err
		}
		if err := k.file.Enable(id); err != nil {
			return err
		}
		return k.done(map[string]any{"key": id, "state": seal.KeyRetired}, fmt.Sprintf("key %d opens again", id))
	})
}

func newKeysDelete() *cobra.Command {
	var k keyTool
	var yes bool
	cmd := k.command(&cobra.Command{
		Use:   "delete <key>",
		Short: "Destroy a disabled key, and with it whatever only it opens, backups included",
		Long: `There is no way back, but for copies of the key file. After a workspace's keys were destroyed, deleting the installation's key of that
time makes older backups of the database unreadable as well.`,
		Example: "  throughline keys delete 2718281828 --yes",
		Args:    cobra.ExactArgs(1),
	}, func(_ context.Context, args []string) error {
		id, err := keyID(args[0])
		if err != nil {
			return err
		}
		if !yes {
			return fmt.Errorf("deleting key %d cannot be undone: say --yes", id)
		}
		if err := k.file.Delete(id); err != nil {
			return err
		}
		return k.done(map[string]any{"key": id, "state": "deleted"}, fmt.Sprintf("key %d is gone", id))
	})
	cmd.Flags().BoolVar(&yes, "yes", false, "really")
	return cmd
}

func newKeysWrap() *cobra.Command {
	var k keyTool
	var undo bool
	cmd := k.command(&cobra.Command{
		Use:   "wrap",
		Short: "Move the key file into the key service that key_service.key_uri names",
		Long: `Encrypts the keys in installation_key_file with the service's key and checks that it opens them again, before the old content goes. The
keys stay the same. Running processes keep what is in memory; restart them with key_service configured. Delete copies of the
old file: they open everything.`,
		Example: `  throughline keys wrap --config throughline.yaml
  throughline keys wrap --undo        # out of the service again, e.g. to change to another`,
		Args: cobra.NoArgs,
	}, func(context.Context, []string) error {
		if k.file.Wrapper == nil {
			return errors.New("key_service.key_uri: say which key of which service")
		}
		bare := seal.File{Path: k.file.Path}
		if undo {
			if err := bare.Rewrap(k.file); err != nil {
				return err
			}
			return k.done(map[string]any{"wrapped": false}, "the key file holds its keys in the clear: keep it safe, and take key_service out of the configuration")
		}
		if err := k.file.Rewrap(bare); err != nil {
			return err
		}
		return k.done(map[string]any{"wrapped": true}, "the key file opens with the key service only; delete copies of the old one")
	})
	cmd.Flags().BoolVar(&undo, "undo", false, "write the keys into the file in the clear")
	return cmd
}
