package rest

import "net/http"

func (s *Server) composite(c *call) reply {
	return failure(http.StatusNotFound, "NOT_FOUND", "The requested resource does not exist")
}

func (s *Server) batch(c *call) reply {
	return failure(http.StatusNotFound, "NOT_FOUND", "The requested resource does not exist")
}
