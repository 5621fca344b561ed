package kafka

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/segmentio/kafka-go"
)

// unreachableError tells that no broker answered, in words for whoever runs the program: the library's own are for its callers.
type unreachableError struct {
	brokers []string
	cause   error
}

func (e *unreachableError) Error() string {
	return fmt.Sprintf("no broker answers at %s%s; is Kafka running, and is kafka.brokers right?", strings.Join(e.brokers, ", "), e.why())
}

// why is what the network said, if it was the network.
func (e *unreachableError) why() string {
	var op *net.OpError
	if !errors.As(e.cause, &op) {
		return ""
	}
	return fmt.Sprintf(" (%v)", op.Err)
}

func (e *unreachableError) Unwrap() error { return e.cause }

// plain takes the library's name of the call off an error, and says it in our words if no broker could be reached.
func (c *Client) plain(err error) error {
	if err == nil {
		return nil
	}
	if inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), "kafka.(*Client).") {
		err = inner
	}
	var op *net.OpError
	if errors.Is(err, kafka.BrokerNotAvailable) || errors.As(err, &op) && op.Op == "dial" {
		return &unreachableError{brokers: c.cfg.Brokers, cause: err}
	}
	return err
}
