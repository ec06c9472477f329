package lab

// nothing is the language of a port where nothing may be said. The visit is
// forbidden from its first octet, so each piece counts and none is read.
type nothing struct{}

var _ language = nothing{}

func (nothing) take(buf []byte) (int, *breach) { return len(buf), nil }
func (nothing) judge([]byte) verdict           { return verdict{} }
func (nothing) sent()                          {}
func (nothing) owes() bool                     { return false }
func (nothing) partial() *breach               { return nil }
func (nothing) left() *breach                  { return nil }
