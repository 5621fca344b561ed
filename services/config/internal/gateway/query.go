package gateway

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// strictQuery reads the parameters of an address, and refuses one that the call does not have: a misspelt filter would be none.
type strictQuery struct{ runtime.DefaultQueryParser }

// Parse fills the message.
func (q *strictQuery) Parse(target proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	fields := target.ProtoReflect().Descriptor().Fields()
	for key := range values {
		name := key
		if end := strings.IndexAny(key, ".["); end >= 0 {
			name = key[:end]
		}
		if fields.ByJSONName(name) == nil && fields.ByName(protoreflect.Name(name)) == nil {
			return fmt.Errorf("there is no parameter %q; /openapi.json lists those of every call", name)
		}
	}
	return q.DefaultQueryParser.Parse(target, values, filter)
}
