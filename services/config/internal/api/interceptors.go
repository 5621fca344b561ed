package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"

	"github.com/throughline-dev/throughline/services/config/internal/auth"
)

// Gate is what every call passes before its handler: recover, authenticate, authorise, validate, in this order.
type Gate struct {
	Authenticator *auth.Authenticator
	Validator     protovalidate.Validator
	Logger        *slog.Logger
}

// Unary is the gate of single calls.
func (g *Gate) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if r := recover(); r != nil {
			resp, err = nil, g.panicked(ctx, info.FullMethod, r)
		}
	}()
	ctx, err = g.admit(ctx, info.FullMethod, auth.WorkspaceOf(req))
	if err != nil {
		return nil, err
	}
	if err := g.validate(req); err != nil {
		return nil, statusOf(ctx, g.Logger, info.FullMethod, err)
	}
	resp, err = handle(ctx, req)
	return resp, statusOf(ctx, g.Logger, info.FullMethod, err)
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
	return statusOf(ctx, g.Logger, info.FullMethod, handle(srv, &admitted{ServerStream: stream, ctx: ctx, validate: g.validate}))
}

// admit returns a context with the caller's identity if the caller may call the method about the workspace. Whether a
// workspace exists makes no difference to the answer (promise 9).
func (g *Gate) admit(ctx context.Context, method, workspace string) (context.Context, error) {
	rule, ok := auth.RuleFor(method)
	if !ok {
		return nil, status.Error(codes.PermissionDenied, "this method cannot be called")
	}
	if rule.Open() {
		return ctx, nil
	}
	id, ok := g.Authenticator.Authenticate(bearerToken(ctx))
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "no valid token: send \"authorization: Bearer <token>\"")
	}
	if !rule.Allows(id, workspace) {
		return nil, status.Error(codes.PermissionDenied, "this token does not allow that")
	}
	return auth.WithIdentity(ctx, id), nil
}

func bearerToken(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return token
}

func (g *Gate) validate(req any) error {
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

func (g *Gate) panicked(ctx context.Context, method string, reason any) error {
	g.Logger.ErrorContext(ctx, "a handler panicked", "method", method, "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
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
