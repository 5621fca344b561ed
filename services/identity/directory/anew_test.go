package directory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/directory"
)

func TestWhatIsRememberedIsNotEnough(t *testing.T) {
	t.Parallel()

	t.Run("WhenAReplayAsksAnew", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-7")
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com"})
		b.add("User", salesforce.Record{"Id": "0051", "Email": "boss@acme.example", "IsActive": true})
		require.Equal(t, []string{"00Q1"}, idsOf(b.look("mia@example.com")[0]))
		b.org.rows["Lead"][0]["Id"] = "00Q2" // merged into another
		require.Equal(t, []string{"00Q1"}, idsOf(b.look("mia@example.com")[0]), "remembered")
		anew := ask("mia@example.com", "boss@acme.example")
		anew.Anew = true
		answers := b.dir.Look(t.Context(), []directory.Ask{ask("mia@example.com", ""), anew})
		require.Equal(t, []string{"00Q2"}, idsOf(answers[1]))
		require.Len(t, answers[1].OwnerUsers, 1)
		require.Equal(t, []string{"00Q2"}, idsOf(b.look("mia@example.com")[0]), "and that is remembered")
	})

	t.Run("WhenTheConnectionIsWithAnotherOrg", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-14")
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com"})
		require.Equal(t, []string{"00Q1"}, idsOf(b.look("mia@example.com")[0]))
		b.org.rows["Lead"][0]["Id"] = "00Q2" // it is the other org's
		other := ask("mia@example.com", "")
		other.Org = "00D000000000002EAA"
		require.Equal(t, []string{"00Q2"}, idsOf(b.dir.Look(t.Context(), []directory.Ask{other})[0]))
		require.Equal(t, []string{"00Q1"}, idsOf(b.look("mia@example.com")[0]), "the first org's is remembered beside it")
		b.dir.Forget(func(_, personKey string) bool { return personKey == "key of mia@example.com" })
		b.org.asked()
		b.dir.Look(t.Context(), []directory.Ask{other})
		require.NotEmpty(t, b.org.asked(), "forgotten in every org")
	})
}
