package api

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// encoding is deterministic, so that the history shows a change only where there is one.
var encoding = proto.MarshalOptions{Deterministic: true}

// save stores body as the version after expected, in the caller's name. sealed is nil to keep what is there. What changed
// goes to the audit log with it.
func (s *Server) save(ctx context.Context, key store.Key, expected int64, body proto.Message, sealed []byte) error {
	save, err := s.prepared(ctx, store.Save{Key: key, Expected: expected, Sealed: sealed}, body)
	if err != nil {
		return err
	}
	return s.deps.Documents.Put(ctx, save)
}

// prepared completes a save that names what is saved: with the body, whose doing it is, and what changes by it.
func (s *Server) prepared(ctx context.Context, save store.Save, body proto.Message) (store.Save, error) {
	var err error
	if save.Body, err = encoding.Marshal(body); err != nil {
		return save, fmt.Errorf("encode %s %s: %w", save.Kind, save.ID, err)
	}
	found, err := s.difference(ctx, save.Key, save.Expected, body)
	if err != nil {
		return save, err
	}
	if save.Sealed != nil {
		found = append(found, &configv1.FieldChange{Path: changes.SealedPath, Concealed: true})
	}
	act, err := actOf(ctx, s.deps.Clock.Now(), found)
	if err != nil {
		return save, err
	}
	return save.As(act), nil
}

// difference compares body with the version it replaces. If that is not the newest any more, nothing is compared: Put will
// refuse it.
func (s *Server) difference(ctx context.Context, key store.Key, expected int64, body proto.Message) ([]*configv1.FieldChange, error) {
	if expected == 0 {
		return changes.Between(nil, body, "version"), nil
	}
	old := body.ProtoReflect().New().Interface()
	doc, err := s.load(ctx, key, old)
	if errors.Is(err, store.ErrNotFound) || err == nil && doc.Version != expected {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return changes.Between(old, body, "version"), nil
}

// load reads the newest version of a setting into out.
func (s *Server) load(ctx context.Context, key store.Key, out proto.Message) (store.Document, error) {
	doc, err := s.deps.Documents.Get(ctx, key)
	if err != nil {
		return store.Document{}, err
	}
	return doc, decode(doc, out)
}

func decode(doc store.Document, out proto.Message) error {
	if err := proto.Unmarshal(doc.Body, out); err != nil {
		return fmt.Errorf("decode %s %s of workspace %s: %w", doc.Kind, doc.ID, doc.Workspace, err)
	}
	return nil
}

// list decodes the newest versions of one kind, by id.
func list[T any, M interface {
	*T
	proto.Message
}](ctx context.Context, s *Server, workspace string, kind store.Kind,
) ([]M, error) {
	docs, err := s.deps.Documents.List(ctx, workspace, kind)
	if err != nil {
		return nil, err
	}
	out := make([]M, len(docs))
	for i, doc := range docs {
		out[i] = new(T)
		if err := decode(doc, out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// requireWorkspace fails with NOT_FOUND if there is no such workspace, and refuses one that was destroyed.
func (s *Server) requireWorkspace(ctx context.Context, workspace string) error {
	doc, err := s.deps.Documents.Get(ctx, workspaceKey(workspace))
	if errors.Is(err, store.ErrNotFound) {
		return noWorkspace(workspace)
	}
	if err == nil && len(doc.Sealed) == 0 {
		return status.Errorf(codes.FailedPrecondition, "the keys of workspace %q were destroyed: nothing new is kept for it", workspace)
	}
	return err
}

func workspaceKey(id string) store.Key {
	return store.Key{Workspace: id, Kind: store.KindWorkspace, ID: id}
}
