package api

import (
	"context"
	"net"
	"net/netip"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/gateway"
	"github.com/throughline-dev/throughline/services/config/internal/limit"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// ReasonHeader carries why a caller changes something, in UTF-8, at most MaxReason bytes; it goes to the history (XC-24).
const (
	ReasonHeader = "throughline-reason-bin"
	MaxReason    = 500
)

// Limits bound how often somebody calls, and fails to prove who it is.
type Limits struct {
	// Calls are those of people and programs, by caller; Services those of the data plane.
	Calls, Services *limit.Limiter
	// Failures are failed authentications, SignIns calls that are their own proof, by address.
	Failures, SignIns *limit.Limiter
	// Refusals are how many refused calls of one caller are written down; the rest is only logged.
	Refusals *limit.Limiter
}

func (l Limits) call(id auth.Identity, now time.Time) error {
	limiter := l.Calls
	if id.Role == auth.RoleService {
		limiter = l.Services
	}
	if wait, ok := limiter.Take(id.Key(), now); !ok {
		return tooOften("this caller calls too often", wait)
	}
	return nil
}

// proof lets a call through that is its own proof.
func (l Limits) proof(address string, now time.Time) error {
	if err := l.failures(address, now); err != nil {
		return err
	}
	if wait, ok := l.SignIns.Take(address, now); !ok {
		return tooOften("too many sign-ins from this address", wait)
	}
	return nil
}

func (l Limits) failures(address string, now time.Time) error {
	if wait, ok := l.Failures.Left(address, now); !ok {
		return tooOften("too many calls from this address could not prove who makes them", wait)
	}
	return nil
}

// tooOften says when to come again.
func tooOften(text string, wait time.Duration) error {
	return withDetail(status.New(codes.ResourceExhausted, text), &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}).Err()
}

func credentialsOf(ctx context.Context) auth.Credentials {
	return auth.Credentials{Token: bearerToken(ctx), Certificate: certificateNames(ctx)}
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

// certificateNames returns whom a verified client certificate names.
func certificateNames(ctx context.Context) []string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil
	}
	leaf := info.State.VerifiedChains[0][0]
	names := append([]string{leaf.Subject.CommonName}, leaf.DNSNames...)
	for _, uri := range leaf.URIs {
		names = append(names, uri.String())
	}
	return names
}

// addressOf returns the host a call comes from, without the port, which changes with every connection, and of IPv6 the network of
// 64 bits, for in that a host may choose its address anew for every call.
func addressOf(ctx context.Context) string {
	host := hostOf(ctx)
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Unmap().Is4() {
		return host
	}
	network, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return network.String()
}

func hostOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	if gateway.Local(p.Addr) {
		if md, _ := metadata.FromIncomingContext(ctx); len(md.Get(gateway.AddressHeader)) == 1 {
			return md.Get(gateway.AddressHeader)[0]
		}
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return p.Addr.String()
	}
	return host
}

// reasonOf returns what the caller says about why.
func reasonOf(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(md.Get(ReasonHeader), "; ")
}

func checkReason(ctx context.Context) error {
	reason := reasonOf(ctx)
	if len(reason) > MaxReason || !utf8.ValidString(reason) || strings.ContainsRune(reason, 0) {
		return status.Errorf(codes.InvalidArgument, "%s: want UTF-8, at most %d bytes", ReasonHeader, MaxReason)
	}
	return nil
}

type reasonKey struct{}

// because makes actOf say reason, if there is one, instead of what the header says.
func because(ctx context.Context, reason string) context.Context {
	if reason == "" {
		return ctx
	}
	return context.WithValue(ctx, reasonKey{}, reason)
}

// ActOf tells who does something and why, for the audit log.
func ActOf(ctx context.Context, now time.Time) (store.Act, error) { return actOf(ctx, now, nil) }

// actOf says for the audit log who does what now, and why.
func actOf(ctx context.Context, now time.Time, found []*configv1.FieldChange) (store.Act, error) {
	method, _ := grpc.Method(ctx)
	id := auth.FromContext(ctx)
	reason, ok := ctx.Value(reasonKey{}).(string)
	if !ok {
		reason = reasonOf(ctx)
	}
	encoded, err := changes.Encode(found)
	if err != nil {
		return store.Act{}, err
	}
	return store.Act{
		Actor: id.Name, Role: string(id.Role), Action: path.Base(method), Reason: reason, At: now, Changes: encoded,
	}, nil
}
