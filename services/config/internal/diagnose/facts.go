package diagnose

import (
	"context"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// lookBack is how many changes of state are looked at for what became of earlier authorisations.
const lookBack = 200

// facts is what is known of the app's policies before the org is asked (LOOM-12).
func (s *Service) facts(ctx context.Context, c *configv1.Connection) (probe.Facts, error) {
	var f probe.Facts
	if c.GetConsent().GetGivenAt() == nil {
		return f, nil // nobody logged in: there is no refresh token whose life could tell
	}
	f.ConsentAge = s.deps.Clock.Now().Sub(c.GetConsent().GetGivenAt().AsTime())
	history, err := s.deps.History.StateHistory(ctx, c.GetWorkspace(), c.GetId(), lookBack)
	if err != nil {
		return f, err
	}
	f.EndedEarly, f.LastLife = endedEarly(history)
	return f, nil
}

// endedEarly counts the authorisations before the present one that Salesforce ended within ShortLife, back to one that it did
// not, and tells how long the last of them lasted. History is newest first.
func endedEarly(history []store.StateChange) (n int, last time.Duration) {
	var ended time.Time
	present := true // what became of the present authorisation is not of the past
	for _, change := range history {
		switch {
		case change.To.State == connstate.Revoked && change.To.Actor == lifecycle.ActorSalesforce:
			ended = change.To.Since
		case change.To.State == connstate.Disconnected || change.To.Cause == lifecycle.CauseTokenIssued:
			ended = time.Time{} // it was ours to end, or it had not ended
		case change.To.Cause == lifecycle.CauseConsent:
			life := ended.Sub(change.To.Since)
			switch {
			case present:
				present = false
			case ended.IsZero() || life >= probe.ShortLife:
				return n, last
			default:
				n++
				if n == 1 {
					last = life
				}
			}
			ended = time.Time{}
		}
	}
	return n, last
}
