package record

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrCorrupt says that stored bytes are not a record that Encode wrote.
var ErrCorrupt = errors.New("corrupt record")

// Tags of encoded values.
const (
	tagText byte = iota + 1
	tagFalse
	tagTrue
	tagInt
	tagDouble
	tagDate
	tagDateTime
)

// Encode appends the values that are not null, each with its slot, in a compact form.
func Encode(dst []byte, values []Value) []byte {
	for slot, v := range values {
		if v == nil {
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(slot))
		switch v := v.(type) {
		case string:
			dst = append(dst, tagText)
			dst = binary.AppendUvarint(dst, uint64(len(v)))
			dst = append(dst, v...)
		case bool:
			if v {
				dst = append(dst, tagTrue)
			} else {
				dst = append(dst, tagFalse)
			}
		case int64:
			dst = binary.AppendVarint(append(dst, tagInt), v)
		case float64:
			dst = binary.LittleEndian.AppendUint64(append(dst, tagDouble), math.Float64bits(v))
		case Date:
			dst = binary.AppendVarint(append(dst, tagDate), int64(v))
		case DateTime:
			dst = binary.AppendVarint(append(dst, tagDateTime), int64(v))
		}
	}
	return dst
}

// Decode calls set for every value in data. Errors are ErrCorrupt.
func Decode(data []byte, set func(slot int, v Value)) error {
	for len(data) > 0 {
		slot, n := binary.Uvarint(data)
		if n <= 0 || n >= len(data) || slot > math.MaxInt32 {
			return ErrCorrupt
		}
		v, rest, err := decodeValue(data[n], data[n+1:])
		if err != nil {
			return err
		}
		set(int(slot), v)
		data = rest
	}
	return nil
}

func decodeValue(tag byte, data []byte) (Value, []byte, error) {
	switch tag {
	case tagFalse, tagTrue:
		return tag == tagTrue, data, nil
	case tagText:
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return nil, nil, ErrCorrupt
		}
		end := n + int(size)
		return string(data[n:end]), data[end:], nil
	case tagDouble:
		if len(data) < 8 {
			return nil, nil, ErrCorrupt
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(data)), data[8:], nil
	}
	i, n := binary.Varint(data)
	if n <= 0 {
		return nil, nil, ErrCorrupt
	}
	switch tag {
	case tagInt:
		return i, data[n:], nil
	case tagDate:
		return Date(i), data[n:], nil
	case tagDateTime:
		return DateTime(i), data[n:], nil
	}
	return nil, nil, ErrCorrupt
}
