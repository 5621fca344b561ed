package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// defaultWorkflow makes the copy of the workspace's default workflow that a new content gets (IMM-16), and says how to save it.
// save is nil when there is no default workflow, or when the content cannot have a copy: notes then say why, for a new content
// is recorded all the same.
func (s *Server) defaultWorkflow(ctx context.Context, ws *configv1.Workspace, content string) (workflow *configv1.Integration, save *store.Save, notes []string, err error) {
	if ws.GetDefaultWorkflow() == "" {
		return nil, nil, nil, nil
	}
	original, err := s.integration(ctx, ws.GetId(), ws.GetDefaultWorkflow())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, []string{"the default workflow " + ws.GetDefaultWorkflow() + " is not there: choose another in the workspace's settings"}, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	workflow = copyOf(original, workflowID(original.GetId(), content), []string{content})
	if _, err := s.integration(ctx, ws.GetId(), workflow.GetId()); !errors.Is(err, store.ErrNotFound) {
		return nil, nil, nil, err // it has one
	}
	workflow.Enabled = true // the original may be off, to be nothing but what copies are made of
	if err := s.afterDeletion(ctx, workflow); err != nil {
		return nil, nil, nil, err
	}
	notes, err = s.checkIntegration(ctx, workflow)
	var wrong violations
	switch {
	case errors.As(err, &wrong):
		workflow.Enabled = false
		notes = append(notes, "the copy of the default workflow "+original.GetId()+" is switched off, for it does not pass the checks: "+wrong.Error())
	case err != nil:
		return nil, nil, nil, err
	}
	made, err := s.versionOf(ctx, workflow)
	return workflow, &made, notes, err
}

// workflowID is the same for the same content, so that it gets one copy however often it is recorded.
func workflowID(original, content string) string {
	const most, hashed = 64, 8
	sum := sha256.Sum256([]byte(content))
	suffix := "-" + hex.EncodeToString(sum[:hashed])
	return original[:min(len(original), most-len(suffix))] + suffix
}
