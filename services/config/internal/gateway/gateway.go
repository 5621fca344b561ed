package gateway

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"

	configgw "github.com/throughline-dev/throughline/services/config/internal/gateway/configgw"
)

const (
	// AddressHeader is the metadata that tells a server behind a gateway which host calls; see Local.
	AddressHeader = "tl-remote-address"
	// ReasonHeader says why something is changed, percent-encoded where it is not ASCII.
	ReasonHeader = "Throughline-Reason"
	// pipeBytes is how much waits in a connection in memory.
	pipeBytes = 1 << 20
	// maxAnswer is the largest answer: lists are not all paged.
	maxAnswer = 64 << 20
)

//go:embed config.swagger.json
var document []byte

// Config bounds a gateway (promise 7).
type Config struct {
	// MaxRequestBytes is the largest body.
	MaxRequestBytes int64
	// Timeout bounds one call.
	Timeout time.Duration
	// Reason is the metadata that says why something is changed.
	Reason string
}

// Gateway translates HTTP to gRPC. Safe for concurrent use.
type Gateway struct {
	pipe    *bufconn.Listener
	conn    *grpc.ClientConn
	handler http.Handler
}

// New returns a gateway to whatever server Serve is given.
func New(cfg Config) (*Gateway, error) {
	g := &Gateway{pipe: bufconn.Listen(pipeBytes)}
	var err error
	g.conn, err = grpc.NewClient("passthrough:///gateway",
		grpc.WithTransportCredentials(insecure.NewCredentials()), // it does not leave the process
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return g.pipe.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
	)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	mux, err := routes(cfg, g.conn)
	if err != nil {
		return nil, errors.Join(err, g.conn.Close())
	}
	calls := http.MaxBytesHandler(http.TimeoutHandler(mux, cfg.Timeout, `{"code":4,"message":"the call takes too long"}`), cfg.MaxRequestBytes)
	all := http.NewServeMux()
	all.Handle("/v1/", calls)
	all.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	})
	g.handler = plain(all)
	return g, nil
}

func routes(cfg Config, conn *grpc.ClientConn) (http.Handler, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{}}),
		runtime.WithErrorHandler(answerError),
		runtime.SetQueryParameterParser(&strictQuery{}),
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }), // Authorization is passed on all the same
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithMetadata(func(_ context.Context, r *http.Request) metadata.MD { return about(cfg, r) }),
	)
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		configgw.RegisterConfigServiceHandler, configgw.RegisterConnectServiceHandler, configgw.RegisterCatalogueServiceHandler,
		configgw.RegisterIntegrationHistoryServiceHandler, configgw.RegisterSettingHistoryServiceHandler,
		configgw.RegisterAccessServiceHandler, configgw.RegisterRunLogServiceHandler, configgw.RegisterPrivacyServiceHandler,
		configgw.RegisterKeyServiceHandler, configgw.RegisterNoticeServiceHandler, configgw.RegisterPlanServiceHandler,
		configgw.RegisterConnectionListServiceHandler, configgw.RegisterContentDefaultsServiceHandler,
		configgw.RegisterWorkflowServiceHandler, configgw.RegisterDraftServiceHandler, configgw.RegisterEventSetupServiceHandler,
		configgw.RegisterReportServiceHandler, configgw.RegisterReportRunServiceHandler, configgw.RegisterSetupServiceHandler,
		configgw.RegisterReplayServiceHandler,
	} {
		if err := register(context.Background(), mux, conn); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	return mux, nil
}

// about tells the server what of the request is not in its message.
func about(cfg Config, r *http.Request) metadata.MD {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	md := metadata.Pairs(AddressHeader, host)
	if why, err := url.PathUnescape(r.Header.Get(ReasonHeader)); err == nil && why != "" {
		md.Append(cfg.Reason, why)
	}
	return md
}

// plain adds what keeps browsers from making anything else of an answer.
func plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// Serve lets a gRPC server answer the gateway's calls until it is stopped. The server must have no transport credentials.
func (g *Gateway) Serve(server *grpc.Server) error { return server.Serve(g.pipe) }

// Close ends all calls.
func (g *Gateway) Close() error { return errors.Join(g.conn.Close(), g.pipe.Close()) }

// Local reports whether a call comes from a gateway in this process, whose AddressHeader can be believed.
func Local(peer net.Addr) bool { return peer.Network() == "bufconn" }
