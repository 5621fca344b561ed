package configbench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	echoMethod  = "/bench.Bare/Echo"
	watchMethod = "/bench.Bare/Watch"
)

// bare is a gRPC server with the same certificates that does nothing: it echoes, and it sends what it is given to every
// watcher.
type bare struct {
	server   *grpc.Server
	listener net.Listener
	done     chan error

	mu       sync.Mutex
	watchers map[chan *wrapperspb.BytesValue]struct{}
}

func startBare(certs certificates) (*bare, error) {
	cert, err := tls.LoadX509KeyPair(certs.path("server.crt"), certs.path("server.key"))
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(certs.path("ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate of the authority")
	}
	b := &bare{done: make(chan error, 1), watchers: map[chan *wrapperspb.BytesValue]struct{}{}}
	b.server = grpc.NewServer(grpc.UnknownServiceHandler(b.handle), grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert,
	})))
	if b.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil { //nolint:noctx // a local bind does not block
		return nil, err
	}
	go func() { b.done <- b.server.Serve(b.listener) }()
	return b, nil
}

func (b *bare) addr() string { return b.listener.Addr().String() }

func (b *bare) close() error {
	b.server.Stop()
	return <-b.done
}

func (b *bare) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	in := &wrapperspb.BytesValue{}
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	if method == echoMethod {
		return stream.SendMsg(in)
	}
	news := make(chan *wrapperspb.BytesValue, 1)
	b.mu.Lock()
	b.watchers[news] = struct{}{}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.watchers, news)
	}()
	if err := stream.SendMsg(in); err != nil { // the watcher knows that it is registered
		return err
	}
	for {
		select {
		case m := <-news:
			if err := stream.SendMsg(m); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// tell sends to every watcher; each has received what it was told before.
func (b *bare) tell(m *wrapperspb.BytesValue) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for news := range b.watchers {
		news <- m
	}
}

// watchBare opens a stream that is registered when it returns.
func watchBare(ctx context.Context, conn *grpc.ClientConn) (grpc.ClientStream, error) {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, watchMethod)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(&wrapperspb.BytesValue{}); err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	return stream, stream.RecvMsg(&wrapperspb.BytesValue{})
}
