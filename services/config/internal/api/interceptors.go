package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"

	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Gate is what every call passes before its handler: recover, authenticate, limit, authorise, see that its workspace is there,
// validate, in this order.
type Gate struct {
	Door       *auth.Door
	Workspaces *Workspaces
	Validator  protovalidate.Validator
	Logger     *slog.Logger
	Clock      interface{ Now() time.Time }
	Limits     Limits
	Refusals   Refusals
}

// Refusals are kept in the audit log.
type Refusals interface {
	AddAudit(ctx context.Context, e store.AuditEntry) error
}

// Unary is the gate of single calls.
func (g *Gate) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if r := recover(); r != nil {
			resp, err = nil, g.panicked(ctx, info.FullMethod, r)
		}
	}()
	workspace := auth.WorkspaceOf(req)
	ctx, err = g.admit(ctx, info.FullMethod, workspace)
	if err != nil {
		return nil, err
	}
	if err := g.find(ctx, info.FullMethod, workspace); err != nil {
		return nil, statusOf(ctx, g.Logger, info.FullMethod, err)
	}
	if err := g.Validate(req); err != nil {
		return nil, statusOf(ctx, g.Logger, info.FullMethod, err)
	}
	resp, err = handle(ctx, req)
	err = statusOf(ctx, g.Logger, info.FullMethod, err)
	if status.Code(err) == codes.Unauthenticated { // a refused proof
		g.Limits.Failures.Take(addressOf(ctx), g.Clock.Now())
	}
	return resp, err
}

// Stream is the gate of streams. None of them is about one workspace.
func (g *Gate) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = g.panicked(stream.Context(), info.FullMethod, r)
		}
	}()
	ctx, err := g.admit(stream.Context(), info.FullMethod, "")
	if err != nil {
		return err
	}
	return statusOf(ctx, g.Logger, info.FullMethod, handle(srv, &admitted{ServerStream: stream, ctx: ctx, validate: g.Validate}))
}

// find fails if a call is about a workspace that is not there. Only those come here who may see it if it were.
func (g *Gate) find(ctx context.Context, method, workspace string) error {
	rule, ok := auth.RuleFor(method)
	if !ok || rule.Open() || rule.Creates || workspace == "" {
		return nil
	}
	return g.Workspaces.require(ctx, workspace)
}

// admit returns a context with the caller's identity if the caller may call the method about the workspace. Whether a
// workspace exists makes no difference to the answer (promise 9).
func (g *Gate) admit(ctx context.Context, method, workspace string) (context.Context, error) {
	rule, ok := auth.RuleFor(method)
	if !ok {
		return nil, status.Error(codes.PermissionDenied, "this method cannot be called")
	}
	if rule.Open() {
		return g.admitAnybody(ctx, rule)
	}
	id, err := g.identify(ctx, method)
	if err != nil {
		return nil, err
	}
	if err := g.Limits.call(id, g.Clock.Now()); err != nil {
		return nil, err
	}
	if !id.MayCall(method) || !rule.Allows(id, workspace) {
		g.refused(ctx, method, id, workspace)
		return nil, status.Error(codes.PermissionDenied, "this token does not allow that")
	}
	return auth.WithIdentity(ctx, id.For(workspace)), checkReason(ctx)
}

// admitAnybody lets in without a token, and bounds those who bring their proof along.
func (g *Gate) admitAnybody(ctx context.Context, rule auth.Rule) (context.Context, error) {
	if !rule.Proves {
		return ctx, nil
	}
	if err := g.Limits.proof(addressOf(ctx), g.Clock.Now()); err != nil {
		return nil, err
	}
	return ctx, checkReason(ctx)
}

// refused writes down that a caller reached for what is not theirs, where those see it whose caller it is (XC-19), and
// not what it was about: that would be a way to write into others' logs, or to quote what others have.
func (g *Gate) refused(ctx context.Context, method string, id auth.Identity, about string) {
	where := id.Workspace
	if _, seated := id.Seats[about]; seated {
		where, id = about, id.For(about)
	}
	g.Logger.WarnContext(ctx, "a call was refused", "method", method, "role", id.Role, "workspace", where)
	now := g.Clock.Now()
	if _, ok := g.Limits.Refusals.Take(id.Key(), now); !ok { // promise 7
		return
	}
	err := g.Refusals.AddAudit(ctx, store.AuditEntry{
		Act:       store.Act{Actor: id.Name, Role: string(id.Role), Action: path.Base(method), At: now},
		Workspace: where, Kind: "refused", Target: strings.TrimPrefix(method, "/"),
	})
	if err != nil {
		g.Logger.ErrorContext(ctx, "a refused call could not be written into the audit log", "method", method, "error", err)
	}
}

// identify finds out who calls. From an address that failed too often, only those are let in whom the configuration
// knows: finding them costs next to nothing, and services behind one address do not suffer from a guesser there.
func (g *Gate) identify(ctx context.Context, method string) (auth.Identity, error) {
	proof := credentialsOf(ctx)
	id, ok, err := g.Door.Configured(ctx, proof)
	if ok {
		return id, nil
	}
	address := addressOf(ctx)
	if err == nil {
		if err := g.Limits.failures(address, g.Clock.Now()); err != nil {
			return auth.Identity{}, err
		}
		id, err = g.Door.Authenticate(ctx, proof)
	}
	switch {
	case err == nil:
		return id, nil
	case errors.Is(err, auth.ErrUnauthenticated):
		g.Limits.Failures.Take(address, g.Clock.Now())
	}
	return auth.Identity{}, statusOf(ctx, g.Logger, method, err)
}

// Validate checks a request against the rules of its message.
func (g *Gate) Validate(req any) error {
	msg, ok := req.(proto.Message)
	if !ok {
		return nil
	}
	var out violations
	err := g.Validator.Validate(msg)
	var invalid *protovalidate.ValidationError
	switch {
	case err == nil:
		checkTexts(&out, msg)
		return out.err()
	case !errors.As(err, &invalid):
		return err
	}
	for _, v := range invalid.Violations {
		out.add(protovalidate.FieldPathString(v.Proto.GetField()), "%s", v.Proto.GetMessage())
	}
	return out.err()
}

// checkTexts refuses NUL characters, which not every store can keep.
func checkTexts(v *violations, msg proto.Message) {
	_ = protorange.Range(msg.ProtoReflect(), func(p protopath.Values) error {
		if text, ok := p.Index(-1).Value.Interface().(string); ok && strings.ContainsRune(text, 0) {
			v.add(strings.TrimPrefix(p.Path[1:].String(), "."), "a text must not hold a NUL character")
		}
		return nil
	})
}

// panicText is what may be logged of a panic: the runtime's own words, which quote no data, and else only its type.
// Promise 8.
func panicText(reason any) string {
	if e, ok := reason.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("%T", reason)
}

func (g *Gate) panicked(ctx context.Context, method string, reason any) error {
	g.Logger.ErrorContext(ctx, "a handler panicked", "method", method, "panic", panicText(reason), "stack", string(debug.Stack()))
	return status.Error(codes.Internal, "internal error; the config service's log tells more")
}

// admitted is a stream with the caller's identity, whose requests are validated as they come.
type admitted struct {
	grpc.ServerStream
	ctx      context.Context //nolint:containedctx // a stream is where gRPC keeps its context
	validate func(any) error
}

func (s *admitted) Context() context.Context { return s.ctx }

func (s *admitted) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.validate(m)
}
