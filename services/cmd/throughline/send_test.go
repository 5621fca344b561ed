package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/generator"
)

func collect(into *[]stage.Message) func(context.Context, ...stage.Message) error {
	return func(_ context.Context, messages ...stage.Message) error {
		*into = append(*into, messages...)
		return nil
	}
}

func TestSendRepeatsWhatGeneratePrints(t *testing.T) {
	t.Parallel()
	cfg := generator.DefaultConfig()
	cfg.Events, cfg.Now = 3000, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	g, err := generator.New(cfg)
	require.NoError(t, err)
	var printed bytes.Buffer
	require.NoError(t, printEvents(&printed, g))

	var got []stage.Message
	s := &sender{publish: collect(&got), topic: "t"}
	require.NoError(t, s.sendAll(t.Context(), &printed, nil))
	require.Equal(t, cfg.Events, s.sent)
	i := 0
	for e := range g.Events() {
		require.Equal(t, string(e.Key), string(got[i].Key))
		require.Equal(t, string(e.Value), string(got[i].Value))
		require.Len(t, got[i].Headers, len(e.Headers))
		for _, h := range e.Headers {
			require.Contains(t, got[i].Headers, stage.Header{Key: h.Key, Value: h.Value})
		}
		i++
	}
	require.Equal(t, len(got), i)
}

func TestSendKeysABareEventByItsSession(t *testing.T) {
	t.Parallel()
	const event = `{"id":"1","session":"tab-7","data":{"value":1}}`
	var got []stage.Message
	s := &sender{publish: collect(&got), topic: "t"}
	require.NoError(t, s.sendAll(t.Context(), strings.NewReader("\n"+event+"\n\n"), []string{"-"}))
	require.Equal(t, []stage.Message{{Topic: "t", Key: []byte("tab-7"), Value: []byte(event)}}, got)
}

func TestSendNamesTheLineThatIsNotJSON(t *testing.T) {
	t.Parallel()
	s := &sender{publish: collect(new([]stage.Message)), topic: "t"}
	require.ErrorContains(t, s.sendAll(t.Context(), strings.NewReader("{}\nnonsense\n"), nil), "-:2: not a JSON object")
}
