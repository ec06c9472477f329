package bell

import "testing"

func TestEveryoneWhoListensHearsTheNextRingAndNoEarlierOne(t *testing.T) {
	var b Bell
	b.Ring()
	one, two := b.Next(), b.Next()
	select {
	case <-one:
		t.Fatal("a ring from before was heard")
	default:
	}
	b.Ring()
	<-one
	<-two
	select {
	case <-b.Next():
		t.Fatal("one ring was heard twice")
	default:
	}
}
