// Package fault lets the crash tests of package stage act at the seams of its runtime: between handling, producing, saving
// and committing. A running stage carries no faults unless a test put them into its context.
package fault

import "context"

// Point is a place between two steps of settling a batch.
type Point string

// The points, in the order in which a batch passes them.
const (
	Handled   Point = "handled"
	Produced  Point = "produced"
	Saved     Point = "saved"
	Committed Point = "committed"
)

// Hook is called at every point with the partition that passes it. An error is treated like one of the next step.
type Hook func(p Point, partition int) error

type key struct{}

// With returns a context whose stages call hook.
func With(ctx context.Context, hook Hook) context.Context { return context.WithValue(ctx, key{}, hook) }

// From returns the hook of a context, or one that does nothing.
func From(ctx context.Context) Hook {
	if hook, ok := ctx.Value(key{}).(Hook); ok {
		return hook
	}
	return func(Point, int) error { return nil }
}
