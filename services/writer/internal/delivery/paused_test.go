package delivery_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

func TestAnActionThatTheOrgRefusesIsPaused(t *testing.T) {
	t.Parallel()
	refuse := func(record map[string]any) (code, message string) {
		if key, _ := record["External_Id__c"].(string); strings.HasPrefix(key, "bad") {
			return "FIELD_CUSTOM_VALIDATION_EXCEPTION", "the stage must be set"
		}
		return "", ""
	}
	calls := func(w *streamv1.Write) { w.Integration = "calls" }

	t.Run("AndOthersOfTheConnectionGoOn", func(t *testing.T) {
		t.Parallel()
		b := setup(t, patient(10))
		b.org.Refuse = refuse
		for i := range 50 {
			b.accept(b.upsert(write{key: fmt.Sprint("bad", i)}))
		}
		b.settled(50)
		require.Len(t, b.changes, 1)
		requests := len(b.org.Requests())
		require.Equal(t, 5, requests)
		b.accept(b.insert(write{key: "task", who: "1"}))
		b.clock.jump(b.cfg.Linger) // that is alone; the others fill two requests
		b.accept(b.upsert(write{key: "next", change: func(w *streamv1.Write) { w.IntegrationVersion = 2 }}))
		for i := range 10 {
			b.accept(b.upsert(write{key: fmt.Sprint("bad", 50+i)}))
			if i > 0 {
				b.accept(b.upsert(write{key: fmt.Sprint("call", i), change: calls}))
			}
		}
		b.settled(71)
		outcomes := b.outcomes()
		for i := range 10 {
			require.Equal(t, "PARKED SF_VALIDATION", outcomes[fmt.Sprintf("bad%d/1", 50+i)])
			if i > 0 {
				require.Equal(t, "WRITTEN", outcomes[fmt.Sprintf("call%d/1", i)])
			}
		}
		require.Equal(t, "WRITTEN", outcomes["task/1"], "another object of the same integration")
		require.Equal(t, "WRITTEN", outcomes["next/1"], "a later version of it")
		require.Len(t, b.parked(), 10)
	})

	t.Run("WithWhatIsPendingAndWhatIsLeftOfARefusedRequest", func(t *testing.T) {
		t.Parallel()
		b := setup(t, patient(20))
		hold := make(chan struct{})
		b.org.Refuse = func(record map[string]any) (string, string) {
			<-hold
			return refuse(record)
		}
		for i := range 200 {
			b.accept(b.upsert(write{key: fmt.Sprintf("bad%03d", i)}))
		}
		close(hold)
		b.settled(200)
		requests := len(b.org.Requests())
		require.LessOrEqual(t, requests, 6, "three that make it certain, and those that are under way then")
		require.Len(t, b.parked(), 200-20*requests)
		for _, o := range b.all() {
			if o.GetStatus() == streamv1.Status_STATUS_PARKED {
				require.Contains(t, o.GetDetail(), "integration views, version 1, is paused for Engagement__c")
				require.Contains(t, o.GetDetail(), "(100 %)")
			}
		}
	})

	t.Run("AndAnInsertLeavesNoIntentBehind", func(t *testing.T) {
		t.Parallel()
		b := setup(t, patient(10))
		b.pauses.LeastWrites = 10
		b.restart()
		b.org.Refuse = func(map[string]any) (string, string) { return "INSUFFICIENT_ACCESS_OR_READONLY", "no" }
		for i := range 20 {
			b.accept(b.insert(write{key: fmt.Sprint("t", i), who: "1"}))
		}
		b.settled(20)
		for i := range 20 {
			_, known := b.table.Get("acme/main/" + fmt.Sprint("t", i))
			require.False(t, known, "nothing needs to be looked for")
		}
		require.Empty(t, b.org.Queries())
	})
}
