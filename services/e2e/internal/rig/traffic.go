package rig

import (
	"context"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/generator"
	"github.com/throughline-dev/throughline/services/internal/flow"
	"github.com/throughline-dev/throughline/services/oracle"
	"github.com/throughline-dev/throughline/services/simulator"
)

// Traffic is a generated stream with its customers, and what must come of it.
type Traffic struct {
	rig      *Rig
	stream   *generator.Generator
	expected *oracle.Expectation
	events   []stage.Message
	sent     int
}

// Traffic makes the customers of a generated stream, their orgs and settings; each change is made to the stream's
// configuration first. Nothing is sent yet.
func (r *Rig) Traffic(seed uint64, events int, changes ...func(*generator.Config)) *Traffic {
	r.T.Helper()
	cfg := generator.DefaultConfig()
	cfg.Seed, cfg.Events, cfg.Now = seed, events, time.Now().UTC().Truncate(time.Millisecond)
	cfg.Viewers, cfg.Contents = 200, 20
	for _, change := range changes {
		change(&cfg)
	}
	stream, err := generator.New(cfg)
	require.NoError(r.T, err)
	judge, err := oracle.New(stream.World(), oracle.DefaultOptions())
	require.NoError(r.T, err)
	access := func(workspace string) generator.Access {
		return generator.Access{LoginURL: r.Salesforce.BaseURL(workspace), ClientID: "app-" + workspace, ClientSecret: secret.New(r.OrgSecret)}
	}
	data, err := generator.Scenario(stream.World(), access)
	require.NoError(r.T, err)
	scenario, err := simulator.ParseScenario(data)
	require.NoError(r.T, err)
	require.NoError(r.T, r.Salesforce.Seed(r.T.Context(), scenario))
	settings, err := generator.NewSettings(stream.World(), access)
	require.NoError(r.T, err)
	r.save(settings)

	t := &Traffic{rig: r, stream: stream}
	for e := range stream.Events() {
		e = e.Clone()
		raw := oracle.Raw{Value: e.Value}
		m := stage.Message{Topic: CustomerTopic, Key: e.Key, Value: e.Value}
		for _, h := range e.Headers {
			raw.Headers = append(raw.Headers, oracle.Header(h))
			m.Headers = append(m.Headers, stage.Header{Key: h.Key, Value: h.Value})
		}
		judge.Observe(raw)
		t.events = append(t.events, m)
	}
	t.expected = judge.Expect()
	return t
}

func (r *Rig) save(s *generator.Settings) {
	r.T.Helper()
	ctx := r.T.Context()
	for _, w := range s.Workspaces {
		_, err := r.Config.PutWorkspace(ctx, &configv1.PutWorkspaceRequest{Workspace: w})
		require.NoError(r.T, err)
	}
	for _, c := range s.Connections {
		_, err := r.Config.PutConnection(ctx, &configv1.PutConnectionRequest{Connection: c})
		require.NoError(r.T, err)
		_, err = r.Config.CheckConnection(ctx, &configv1.CheckConnectionRequest{Workspace: c.GetWorkspace(), Connection: c.GetId()})
		require.NoError(r.T, err)
	}
	for _, i := range s.Integrations {
		i.EffectiveFrom = timestamppb.New(time.Now().AddDate(0, -1, 0))
		r.Put(i)
	}
	for _, c := range s.ContentSettings {
		_, err := r.Config.PutContentSetting(ctx, &configv1.PutContentSettingRequest{Setting: c})
		require.NoError(r.T, err)
	}
}

// Orgs are the keys of the orgs, which are those of the workspaces.
func (t *Traffic) Orgs() []string {
	var keys []string
	for _, w := range t.stream.World().Workspaces {
		keys = append(keys, w.ID)
	}
	return keys
}

// AnyClose takes a to-do of any close of its visit from now on; see oracle.Expectation.
func (t *Traffic) AnyClose() { t.expected.AnyClose = true }

// Send sends the next part of the stream: share of all events, or what is left.
func (t *Traffic) Send(share float64) {
	r := t.rig
	r.T.Helper()
	end := min(len(t.events), t.sent+int(share*float64(len(t.events))))
	if share >= 1 {
		end = len(t.events)
	}
	for t.sent < end {
		n := min(500, end-t.sent)
		require.NoError(r.T, r.Kafka.Publish(r.T.Context(), t.events[t.sent:t.sent+n]...))
		t.sent += n
	}
}

// Finish sends what is left, ends the visits that nobody closed, and waits until the orgs hold exactly what they must.
func (t *Traffic) Finish() {
	r := t.rig
	r.T.Helper()
	t.Send(1)
	t.AwaitEntered()
	r.Advance(time.Hour)
	var report *oracle.Report
	deadline := time.Now().Add(Within)
	for {
		r.Quiet()
		if report = t.Verdict(t.Orgs()...); report.OK() || time.Now().After(deadline) {
			break
		}
	}
	require.True(r.T, report.OK(), report.String())
	require.Positive(r.T, report.Written)
}

// AwaitEntered waits until all that was sent is in visits.
func (t *Traffic) AwaitEntered() {
	r := t.rig
	r.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	require.NoError(r.T, flow.AwaitQuiet(ctx, r.Kafka, flow.Entrance(CustomerTopic)))
}

// Verdict compares what the named orgs hold with what they must hold in the end.
func (t *Traffic) Verdict(orgs ...string) *oracle.Report {
	r := t.rig
	r.T.Helper()
	expected := *t.expected
	elsewhere := func(org string) bool { return !slices.Contains(orgs, org) }
	expected.Tasks = slices.DeleteFunc(slices.Clone(expected.Tasks), func(want oracle.Task) bool { return elsewhere(want.Org) })
	expected.Engagements = slices.DeleteFunc(slices.Clone(expected.Engagements), func(want oracle.Engagement) bool { return elsewhere(want.Org) })
	var have []oracle.Record
	for _, w := range t.stream.World().Workspaces {
		if elsewhere(w.ID) {
			continue
		}
		objects := []string{"Task"}
		if w.Org.Package {
			objects = append(objects, "Engagement__c")
		}
		for _, object := range objects {
			for _, fields := range r.Records(w.ID, object) {
				have = append(have, oracle.Record{Org: w.ID, Object: object, Fields: fields})
			}
		}
	}
	return oracle.Compare(&expected, have)
}
