package rest

// rowLocks is the org's table of locked parents; see locked.
type rowLocks struct{}

func newRowLocks() *rowLocks { return &rowLocks{} }

// locked runs a call after its simulated time has passed.
func (s *Server) locked(c *call, run func() reply) reply {
	s.latency.wait(c.Context())
	return run()
}
