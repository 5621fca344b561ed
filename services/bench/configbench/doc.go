// Package configbench measures the config service: the real one, over gRPC with mutual TLS, on a database of its own.
// `throughline bench config` prints it.
//
// It answers three questions, each against a baseline of the same run: how long after a save the last of many watchers has
// the change (against a bare gRPC stream that carries one integration to as many), how long the run log takes to say what
// became of something when it holds millions of rows (against one look-up by primary key through the same service), and
// what handing out an access token costs (against a bare gRPC echo).
//
// Service, watchers and callers share one process, so CPU figures hold both sides of every call. The figures of the run log
// are taken with the database as it is after the rows went in, and once more while the oldest rows are being deleted.
package configbench
