package intake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/ingest/intake"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
)

func TestEventsOfTheErasedAreSkipped(t *testing.T) {
	t.Parallel()
	happened := time.Date(2026, 11, 23, 9, 10, 11, 123e6, time.UTC)
	suppressed := func(email string, options ...func(*configv1.Suppression)) *testBundle {
		b := setup(t)
		b.view = settingstest.New(t).Workspace("acme").Suppressed(email, options...).Workspace("globex").View()
		return b
	}
	lifted := func(at time.Time) func(*configv1.Suppression) {
		return func(s *configv1.Suppression) { s.LiftedAt = timestamppb.New(at) }
	}
	requireErased := func(t *testing.T, d intake.Decision) {
		t.Helper()
		require.Equal(t, streamv1.Status_STATUS_SKIPPED, d.Status)
		require.Equal(t, streamv1.Reason_REASON_ERASED_SUBJECT, d.Reason)
		requireOutcome(t, d)
	}

	t.Run("ByAnySpellingOfTheAddress", func(t *testing.T) {
		t.Parallel()
		b := suppressed("taro.yamada@customer.example")
		requireErased(t, b.take(t, raw(progress)))
		requireErased(t, b.take(t, raw(strings.Replace(progress, "Taro.Yamada@customer", "ＴＡＲＯ.yamada@CUSTOMER", 1))))
		asked := raw(strings.Replace(progress, `"signed_in"`, `"link"`, 1))
		requireErased(t, b.take(t, asked))
	})
	t.Run("OthersAndOtherWorkspacesAreUntouched", func(t *testing.T) {
		t.Parallel()
		b := suppressed("somebody@customer.example")
		activity(t, b.take(t, raw(progress)))
		b = suppressed("taro.yamada@customer.example")
		a, _ := activity(t, b.take(t, raw(strings.Replace(progress, `"acme"`, `"globex"`, 1))))
		require.NotEmpty(t, a.GetSubject().GetPersonKey())
		a, _ = activity(t, b.take(t, raw(strings.Replace(progress, viewer, `"viewer":{}`, 1))))
		require.Nil(t, a.GetSubject(), "nobody is not erased")
	})
	t.Run("LiftedForWhatComesNotForWhatWas", func(t *testing.T) {
		t.Parallel()
		activity(t, suppressed("taro.yamada@customer.example", lifted(happened)).take(t, raw(progress)))
		requireErased(t, suppressed("taro.yamada@customer.example", lifted(happened.Add(time.Microsecond))).take(t, raw(progress)))
	})
	t.Run("AnErasedOwnerIsTakenOut", func(t *testing.T) {
		t.Parallel()
		d := suppressed("owner@acme.example").take(t, raw(progress))
		a, _ := activity(t, d)
		require.NotZero(t, d.Warnings&event.OwnerDropped)
		require.Empty(t, a.GetContent().GetOwnerKey())
		require.Empty(t, a.GetContent().GetOwnerSealed())
		require.NotEmpty(t, a.GetSubject().GetPersonKey())
	})
}

func TestAnErasureClearsWhatIsRememberedOfPeople(t *testing.T) {
	t.Parallel()
	subjects := intake.NewSubjects(100)
	in := intake.New(intake.DefaultLimits(), subjects, intake.Tracing{})
	build := settingstest.New(t).Workspace("acme")
	_, err := in.Take(build.View(), raw(progress))
	require.NoError(t, err)
	require.Equal(t, 2, subjects.Len(), "the viewer and the owner")
	view := build.Suppressed("taro.yamada@customer.example").View()
	for range 2 {
		d, err := in.Take(view, raw(progress))
		require.NoError(t, err)
		require.Equal(t, streamv1.Reason_REASON_ERASED_SUBJECT, d.Reason)
		require.Zero(t, subjects.Len())
	}
}
