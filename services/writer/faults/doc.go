// Package faults is the writer's fault suite. A seed makes a stream of writes, a script of faults and moments to kill the
// writer at; the real writer runs through them, on the stage runtime and the embedded broker, against the simulated org.
// When the faults are over and everything has settled, an oracle that shares no code with the writer says what must stand in
// the orgs and how every write must have ended. docs/faults.md lists the faults.
//
// TestProcesses does the same with the program's own processes and SIGKILL.
//
//	go test ./services/writer/faults -run TestFaults -faults.seeds=200
//	go test ./services/writer/faults -run TestFaults -faults.seed=17 -v
package faults
