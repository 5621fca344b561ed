package integration

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

const (
	// costLimit bounds the work of one evaluation in CEL cost units: about one unit per operation and per ten
	// characters of text. A rule that needs more fails for its own write only (promise 6).
	costLimit = 20_000
	// nodeLimit bounds the size of a compiled expression.
	nodeLimit = 2_000
)

// environment is built once: it is the same for every integration.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Types(&streamv1.Resolved{}, &streamv1.PersonalData{}, &streamv1.Registrant{}),
		cel.Container("throughline.stream.v1"),
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.ExpressionNodeLimit(nodeLimit),
		cel.RegexProgramSizeLimit(1_000),
		cel.EagerlyValidateDeclarations(true),
	}
	for name, r := range roots {
		options = append(options, cel.Variable(name, cel.ObjectType(string(r.message.FullName()))))
	}
	for name := range plain {
		options = append(options, cel.Variable(name, cel.StringType))
	}
	return cel.NewEnv(append(options, functions()...)...)
})

// functions are ours on top of CEL's own. Each is linear in its input, so that none escapes the cost limit.
func functions() []cel.EnvOption {
	onText := func(name string, change func(string) string) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload("string_"+name, []*cel.Type{cel.StringType}, cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return types.String(change(string(v.(types.String)))) })))
	}
	return []cel.EnvOption{
		onText("lower", strings.ToLower),
		onText("upper", strings.ToUpper),
		onText("trim", strings.TrimSpace),
		cel.Function("day", cel.Overload("day_timestamp_string",
			[]*cel.Type{cel.TimestampType, cel.StringType}, cel.StringType,
			cel.BinaryBinding(func(at, zone ref.Val) ref.Val {
				z, err := LoadZone(string(zone.(types.String)))
				if err != nil {
					return types.NewErr("unknown time zone")
				}
				return types.String(at.(types.Timestamp).In(z).Format(time.DateOnly))
			}))),
	}
}

// compiling lets one text be compiled at a time: an Env promises to be safe for concurrent use, but cel-go v0.33.2 fills a
// catalogue of names into it when a text names what there is not, while others read it (checker/env.go, Catalog).
var compiling sync.Mutex

// compileCEL type-checks a text. The problems have positions within it.
func compileCEL(textOf string) (*cel.Ast, []error, error) {
	env, err := environment()
	if err != nil {
		return nil, nil, fmt.Errorf("build the CEL environment: %w", err)
	}
	compiling.Lock()
	ast, issues := env.Compile(textOf)
	compiling.Unlock()
	if issues.Err() == nil {
		return ast, nil, nil
	}
	var found []error
	for _, e := range issues.Errors() {
		found = append(found, &positioned{line: e.Location.Line(), column: e.Location.Column() + 1, message: e.Message})
	}
	return nil, found, nil
}

func programOf(ast *cel.Ast) (cel.Program, error) {
	env, err := environment()
	if err != nil {
		return nil, err
	}
	return env.Program(ast, cel.CostLimit(costLimit), cel.EvalOptions(cel.OptOptimize))
}

// isWritable tells whether a value of the type can become a field. What is only known at run time may.
func isWritable(t *cel.Type) bool {
	switch t.Kind() {
	case types.StringKind, types.IntKind, types.UintKind, types.DoubleKind, types.BoolKind,
		types.TimestampKind, types.DurationKind, types.NullTypeKind, types.DynKind:
		return true
	case types.OpaqueKind:
		return t.TypeName() == "optional_type" && len(t.Parameters()) == 1 && isWritable(t.Parameters()[0])
	default:
		return false
	}
}

var errUnwritable = errors.New("the expression gave a value that no field can hold; give a text, number, bool or time")

// fromCEL turns a result into a value.
func fromCEL(v ref.Val) (value, error) {
	switch v := v.(type) {
	case types.String:
		return textValue(string(v)), nil
	case types.Int:
		return numberValue(float64(v)), nil
	case types.Uint:
		return numberValue(float64(v)), nil
	case types.Double:
		return numberValue(float64(v)), nil
	case types.Bool:
		return flagValue(bool(v)), nil
	case types.Timestamp:
		return instantValue(v.Time), nil
	case types.Duration:
		return numberValue(v.Seconds()), nil
	case types.Null:
		return value{}, nil
	case *types.Optional:
		if !v.HasValue() {
			return value{}, nil
		}
		return fromCEL(v.GetValue())
	default:
		return value{}, errUnwritable
	}
}

// celFaults are the run-time faults worth telling apart. CEL's own texts may quote values (promise 8), so only these
// constants leave the package.
var celFaults = []string{
	"division by zero", "modulus by zero", "no such key", "no such attribute", "no such overload", "no such field",
	"index out of bounds", "overflow", "unknown time zone", "cost limit exceeded",
}

func scrub(err error) error {
	if errors.Is(err, errUnwritable) {
		return err
	}
	for _, fault := range celFaults {
		if strings.Contains(err.Error(), fault) {
			return errors.New(fault)
		}
	}
	return errors.New("the expression failed on this input")
}
