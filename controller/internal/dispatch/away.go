package dispatch

import "google.golang.org/grpc/status"

// turn notes that whoever calls with a certificate of an agent gets no session, and why; no error says that it got one.
func (s *Service) turn(agent string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.away, agent)
		return
	}
	if s.away == nil {
		s.away = map[string]string{}
	}
	s.away[agent] = status.Convert(err).Message()
}

// TurnedAway is why an agent gets no session, as far as its certificate goes: one that a restored controller does not know, or that was
// revoked. It is empty for one that nobody has turned away since its last session.
func (s *Service) TurnedAway(agent string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away[agent]
}
