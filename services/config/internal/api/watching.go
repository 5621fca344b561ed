package api

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/watch"
)

// Watch implements configv1.ConfigServiceServer. A watcher that is slower than the changes skips revisions; what it gets
// brings it to a newer one than it had.
func (s *Server) Watch(req *configv1.WatchRequest, stream grpc.ServerStreamingServer[configv1.WatchResponse]) error {
	// Asked of the store, not of memory: another replica may have given this watcher a newer revision than we have read.
	state, changed, err := s.deps.Hub.Current(stream.Context())
	if err != nil {
		return err
	}
	w := watcher{stream: stream, parts: req.GetParts(), has: req.GetRevision(), lineage: req.GetLineage()}
	for ; ; state, changed = s.deps.Hub.Latest() {
		if err := w.tell(state); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-s.stopping:
			return status.Error(codes.Unavailable, "the config service is stopping: connect again")
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// watcher is one stream and what it has been told.
type watcher struct {
	stream  grpc.ServerStreamingServer[configv1.WatchResponse]
	parts   bool
	has     int64
	lineage string
}

func (w *watcher) tell(state *watch.State) error {
	if state.Revision() == w.has && (!w.parts || state.Lineage() == w.lineage) {
		return nil
	}
	answers := []*configv1.WatchResponse{nil}
	if w.parts {
		answers = state.Since(w.has, w.lineage)
	} else {
		answers[0] = state.Whole()
	}
	for _, answer := range answers {
		if err := w.stream.Send(answer); err != nil {
			return err
		}
	}
	w.has, w.lineage = state.Revision(), state.Lineage()
	return nil
}
