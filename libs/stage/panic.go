package stage

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// PanicError is a panic that was contained. The panic's value may quote a record, so only the place is told.
type PanicError struct{ Place string }

func (e *PanicError) Error() string { return "failed by a defect at " + e.Place }

// DefectPlace returns where a panic was that Guarded contained and that err wraps; "" for any other trouble.
func DefectPlace(err error) string {
	if defect, ok := errors.AsType[*PanicError](err); ok {
		return defect.Place
	}
	return ""
}

// Guarded calls f and turns a panic of it into a *PanicError: it is then the trouble of what f is about, and not of the process.
func Guarded(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = &PanicError{Place: PanicPlace()}
		}
	}()
	return f()
}

// guard turns a panic of f, which handles records, into a permanent error: the same record would panic again.
func guard(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = Permanent(ReasonPanic, fmt.Errorf("the handler %w", &PanicError{Place: PanicPlace()}))
		}
	}()
	return f()
}

// PanicPlace returns the function and line that panicked. It must be called by the deferred function that recovers.
func PanicPlace() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	panicked := false
	for {
		f, more := frames.Next()
		inRuntime := strings.HasPrefix(f.Function, "runtime.")
		if panicked && !inRuntime {
			return fmt.Sprintf("%s (%s:%d)", f.Function, filepath.Base(f.File), f.Line)
		}
		panicked = panicked || f.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}
