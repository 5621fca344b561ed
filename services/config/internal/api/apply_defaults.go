package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/defaults"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// maxApplied is how many contents are changed at once: they are changed together (promise 7).
const maxApplied = 5000

// PreviewContentDefaults implements configv1.ContentDefaultsServiceServer.
func (c *ContentDefaults) PreviewContentDefaults(ctx context.Context, req *configv1.PreviewContentDefaultsRequest) (*configv1.PreviewContentDefaultsResponse, error) {
	p, err := c.propose(ctx, req.GetWorkspace(), req.GetGroup())
	if err != nil {
		return nil, err
	}
	out := &configv1.PreviewContentDefaultsResponse{Left: p.left, Unchanged: p.unchanged, Unknown: p.unknown, Fingerprint: p.fingerprint()}
	for _, ch := range p.changes {
		out.Changes = append(out.Changes, &configv1.ContentDefaultsChange{
			ContentId:      ch.after.GetContentId(),
			TrackingBefore: ch.before.GetTracking(), TrackingAfter: ch.after.GetTracking(),
			RequireAddressBefore: ch.before.GetRequireAddress(), RequireAddressAfter: ch.after.GetRequireAddress(),
		})
	}
	return out, nil
}

// ApplyContentDefaults implements configv1.ContentDefaultsServiceServer.
func (c *ContentDefaults) ApplyContentDefaults(ctx context.Context, req *configv1.ApplyContentDefaultsRequest) (*configv1.ApplyContentDefaultsResponse, error) {
	p, err := c.propose(ctx, req.GetWorkspace(), req.GetGroup())
	if err != nil {
		return nil, err
	}
	if len(p.changes) == 0 || p.fingerprint() != req.GetFingerprint() {
		return nil, status.Error(codes.Aborted, "something has changed since the preview: preview again and decide again")
	}
	saves := make([]store.Save, len(p.changes))
	for n, ch := range p.changes {
		key := store.Save{Key: contentKey(ch.after), Expected: ch.before.GetVersion()}
		if saves[n], err = c.docs.prepared(ctx, key, ch.after); err != nil {
			return nil, err
		}
	}
	if err := c.docs.deps.Documents.PutAll(ctx, saves); err != nil {
		return nil, err
	}
	return &configv1.ApplyContentDefaultsResponse{Changed: int64(len(saves)), Left: p.left}, nil
}

// proposal is what applying the defaults would change.
type proposal struct {
	workspace, group         string
	changes                  []contentChange
	left, unchanged, unknown int64
}

type contentChange struct{ before, after *configv1.ContentSetting }

// propose decides anew for every content that the defaults decided on once.
func (c *ContentDefaults) propose(ctx context.Context, workspace, group string) (*proposal, error) {
	var named []string
	if group != "" {
		named = []string{group}
	}
	rules, _, err := c.rules(ctx, workspace, named)
	if err != nil {
		return nil, err
	}
	all, err := list[configv1.ContentSetting](ctx, c.docs, workspace, store.KindContent)
	if err != nil {
		return nil, err
	}
	p := &proposal{workspace: workspace, group: group}
	for _, setting := range all {
		p.add(rules, setting)
	}
	return p, nil
}

func (p *proposal) add(rules defaults.Rules, before *configv1.ContentSetting) {
	origin := before.GetOrigin()
	if origin == nil {
		p.unknown++
		return
	}
	if p.group != "" && !slices.Contains(origin.GetGroups(), p.group) {
		return
	}
	decided := rules.Decide(origin.GetGroups(), &configv1.ContentChoice{
		Tracking: origin.ChoseTracking, RequireAddress: origin.ChoseRequireAddress,
	})
	after := proto.CloneOf(before)
	after.Tracking, after.RequireAddress = decided.GetTracking().GetOn(), decided.GetRequireAddress().GetOn()
	switch {
	case proto.Equal(before, after):
		p.unchanged++
	case len(p.changes) == maxApplied:
		p.left++
	default:
		after.Version = before.GetVersion() + 1
		p.changes = append(p.changes, contentChange{before, after})
	}
}

// fingerprint stands for exactly these changes.
func (p *proposal) fingerprint() string {
	if len(p.changes) == 0 {
		return ""
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q %q\n", p.workspace, p.group)
	for _, ch := range p.changes {
		_, _ = fmt.Fprintf(h, "%q %d %t %t\n", ch.after.GetContentId(), ch.after.GetVersion(), ch.after.GetTracking(), ch.after.GetRequireAddress())
	}
	return hex.EncodeToString(h.Sum(nil))
}
