package api

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Watch implements configv1.ConfigServiceServer. A watcher that is slower than the changes skips revisions; what it gets is
// always whole and newer than what it got before.
func (s *Server) Watch(req *configv1.WatchRequest, stream grpc.ServerStreamingServer[configv1.WatchResponse]) error {
	// Asked of the store, not of memory: another replica may have given this watcher a newer revision than we have read.
	snapshot, changed, err := s.deps.Hub.Current(stream.Context())
	if err != nil {
		return err
	}
	for has := req.GetRevision(); ; snapshot, changed = s.deps.Hub.Latest() {
		if snapshot.GetRevision() != has {
			if err := stream.Send(&configv1.WatchResponse{Snapshot: snapshot}); err != nil {
				return err
			}
			has = snapshot.GetRevision()
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
