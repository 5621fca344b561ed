package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// workspaceStates are the states in the words of the installation's keys.
var workspaceStates = map[configv1.WorkspaceKeyState]seal.KeyState{
	configv1.WorkspaceKeyState_WORKSPACE_KEY_STATE_STANDBY: seal.KeyStandby,
	configv1.WorkspaceKeyState_WORKSPACE_KEY_STATE_PRIMARY: seal.KeyPrimary,
	configv1.WorkspaceKeyState_WORKSPACE_KEY_STATE_RETIRED: seal.KeyRetired,
}

func (k *keyTool) listWorkspace(ctx context.Context) error {
	answer, err := k.config.ListWorkspaceKeys(ctx, &configv1.ListWorkspaceKeysRequest{Workspace: k.workspace})
	if err != nil {
		return err
	}
	list := keyList{Workspace: k.workspace}
	for _, key := range answer.GetKeys() {
		list.Keys = append(list.Keys, keyLine{KeyInfo: seal.KeyInfo{ID: key.GetId(), State: workspaceStates[key.GetState()]}})
	}
	return k.print(list)
}

func (k *keyTool) rotateWorkspace(ctx context.Context) error {
	answer, err := k.config.AddWorkspaceKey(ctx, &configv1.AddWorkspaceKeyRequest{Workspace: k.workspace})
	if err != nil {
		return err
	}
	id, from := answer.GetKey().GetId(), answer.GetPromoteFrom().AsTime()
	return k.done(map[string]any{"workspace": k.workspace, "key": id, "state": seal.KeyStandby, "promote_from": from},
		fmt.Sprintf("sealing key %d of workspace %s stands by. After %s: throughline keys promote %d --workspace %s",
			id, k.workspace, day(from), id, k.workspace))
}

func (k *keyTool) promoteWorkspace(ctx context.Context, id uint32, now bool) error {
	request := &configv1.PromoteWorkspaceKeyRequest{Workspace: k.workspace, KeyId: id, Now: now}
	if _, err := k.config.PromoteWorkspaceKey(ctx, request); err != nil {
		return err
	}
	return k.done(map[string]any{"workspace": k.workspace, "key": id, "state": seal.KeyPrimary},
		fmt.Sprintf("sealing key %d of workspace %s seals. Older ones go on to open", id, k.workspace))
}

func newKeysDestroy() *cobra.Command {
	var k keyTool
	var confirm string
	cmd := k.command(&cobra.Command{
		Use:   "destroy <workspace>",
		Short: "End a workspace for good: nothing that was sealed for it can be read again",
		Long: `Destroys a workspace's keys and its connections' credentials. Every copy of its personal data, in topics, parked writes, dead letters
and backups, is unreadable from then on; its connections are DISCONNECTED, its events are refused, and no erasure or export is possible
any more. Settings and the run log, which name nobody, stay until their retention ends. There is no way back.

Only an administrator of the whole installation may do it, not during a legal hold, and only who types the workspace's id once more.
A backup of the settings database that was made before holds the keys, wrapped with the installation's: delete those backups too.`,
		Example: `  throughline keys destroy acme --confirm acme
  throughline keys destroy acme --confirm acme --json`,
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, args []string) error {
		if confirm != args[0] {
			return fmt.Errorf("nothing of workspace %s could ever be read again: type its id once more, --confirm %s", args[0], args[0])
		}
		answer, err := k.config.DestroyWorkspaceKeys(ctx, &configv1.DestroyWorkspaceKeysRequest{Workspace: args[0], Confirm: confirm})
		if err != nil {
			return err
		}
		at := answer.GetDestroyedAt().AsTime()
		return k.done(map[string]any{"workspace": args[0], "destroyed_at": at},
			fmt.Sprintf("the keys of workspace %s are destroyed since %s; what was sealed for it can never be read again", args[0], day(at)))
	})
	cmd.Flags().StringVar(&confirm, "confirm", "", "the workspace's `id`, typed once more")
	return cmd
}
