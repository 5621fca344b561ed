// Package stagetest helps to test handlers of package stage and what runs them, without Kafka: a clock that is set by hand,
// a Driver that feeds a Processor, a Port that records what a SinkHandler does, a broker in memory, processors that
// record or fail, and a check that a stage drains cleanly.
package stagetest
