package delivery_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// A write that names a record which is gone tells identity, which then asks the org again (XC-42).
func TestWhoIsGoneIsTold(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	b := setup(t)
	b.org.Refuse = func(fields map[string]any) (string, string) {
		switch fields["WhoId"] {
		case "003GONE":
			return "ENTITY_IS_DELETED", "entity is deleted"
		case "003BAD":
			return "FIELD_CUSTOM_VALIDATION_EXCEPTION", "no"
		}
		return "", ""
	}
	for key, who := range map[string]string{"gone": "GONE", "refused": "BAD", "well": "WELL"} {
		w := b.insert(write{key: key, who: who})
		w.PersonKey = "person of " + key
		b.accept(w)
	}
	b.settled(3)
	require.Equal(t, "FAILED SF_RECORD_GONE", b.outcomes()["gone/1"])
	var told []*streamv1.Change
	for _, m := range b.port.Published() {
		if m.Topic == topic.Changes {
			c := &streamv1.Change{}
			require.NoError(t, proto.Unmarshal(m.Value, c))
			require.Equal(t, topic.ConnectionKey(c.GetWorkspace(), c.GetConnection()), m.Key)
			told = append(told, c)
		}
	}
	require.Len(t, told, 1)
	require.Equal(t, streamv1.ChangeType_CHANGE_TYPE_GONE, told[0].GetChangeType())
	require.Equal(t, []string{"person of gone"}, told[0].GetPersonKeys())
}
