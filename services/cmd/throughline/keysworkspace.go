package main

import (
	"context"
	"fmt"

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
