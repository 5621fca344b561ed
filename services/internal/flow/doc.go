// Package flow watches records move through the pipeline: which consumer groups read which topics, how far each is behind,
// and when nothing is on its way any more. Demos, benchmarks and tests wait with it.
package flow
