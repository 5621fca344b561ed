package rest

import (
	"context"
	"net/http"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
)

// atomic is a transaction that several subrequests share. It exists only while its function runs in atomically.
type atomic struct {
	writer *dml.Writer
	counts []func() // statistics, for when it is kept
	// needs collects the records that the transaction would lock; nil when it is meant.
	needs *[]string
	// refused are records whose locks could not be had.
	refused map[string]bool
}

// atomically runs one transaction on behalf of the call. Everything that run does through the call it is given is kept if
// run reports true, and nothing of it otherwise. Nobody else can use the org meanwhile, so the locks that the transaction
// needs are had, and the time that the org takes has passed, before.
func (s *Server) atomically(c *call, tx *atomic, run func(c *call) (keep bool)) error {
	inner := *c
	inner.tx = tx
	if tx.needs != nil {
		inner.rows = nil // scripted faults befall what is meant
	}
	return s.org.Write(c.Context(), c.caller, func(w *dml.Writer) {
		tx.writer = w
		mark := w.Tx.Mark()
		if !run(&inner) {
			w.Tx.RollbackTo(mark)
			return
		}
		for _, count := range inner.tx.counts {
			count()
		}
	})
}

// view looks at the records: within the call's transaction if it has one.
func (s *Server) view(c *call, read func()) error {
	if c.tx != nil {
		read()
		return nil
	}
	return s.org.View(c.Context(), read)
}

// change alters records: within the call's transaction if it has one.
func (s *Server) change(ctx context.Context, c *call, run func(*dml.Writer)) error {
	if c.tx != nil {
		run(c.tx.writer)
		return nil
	}
	return s.org.Write(ctx, c.caller, run)
}

const rolledBack = "The transaction was rolled back since another operation in the same transaction failed."

// together runs subrequests as one transaction. If one fails it keeps its error, and all others are told that theirs is
// taken back.
func (s *Server) together(c *call, subs []subrequest) ([]reply, bool) {
	release, refused, err := s.lockTogether(c, subs)
	defer release()
	var replies []reply
	failed := -1
	if err == nil {
		replies, failed, err = s.attempt(c, &atomic{refused: refused}, subs)
	}
	if err != nil {
		replies = make([]reply, len(subs))
		for i := range replies {
			replies[i] = unexpectedAs(http.StatusServiceUnavailable)
		}
		return replies, false
	}
	if failed < 0 {
		return replies, true
	}
	for i := range replies {
		if i != failed {
			replies[i] = failure(http.StatusBadRequest, "PROCESSING_HALTED", rolledBack)
		}
	}
	return replies, false
}

// attempt runs subrequests in one transaction up to the first that fails, and returns its index: -1 for none.
func (s *Server) attempt(c *call, tx *atomic, subs []subrequest) (replies []reply, failed int, err error) {
	replies, failed = make([]reply, len(subs)), -1
	err = s.atomically(c, tx, func(c *call) bool {
		answers := answers{}
		for i, sub := range subs {
			replies[i] = s.compositeOne(c, sub, answers)
			if replies[i].status >= http.StatusBadRequest || replies[i].failed > 0 {
				failed = i
				return false
			}
		}
		return tx.needs == nil
	})
	return replies, failed, err
}
