// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/deployer"
	pb "github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire/deployerv1"
)

func toProbe(p deployer.Probe) *pb.Probe {
	out := &pb.Probe{Http: toHTTPProbe(p.HTTP), Grpc: toGRPCProbe(p.GRPC)}
	if t := p.TCP; t != nil {
		out.Tcp = &pb.TCPProbe{Host: toText(t.Host), Port: int64(t.Port)}
	}
	if c := p.Command; c != nil {
		out.Command = &pb.CommandProbe{Command: toText(c.Command)}
	}
	return out
}

func fromProbe(p *pb.Probe) deployer.Probe {
	out := deployer.Probe{HTTP: fromHTTPProbe(p.GetHttp()), GRPC: fromGRPCProbe(p.GetGrpc())}
	if t := p.GetTcp(); t != nil {
		out.TCP = &deployer.TCPProbe{Host: t.GetHost(), Port: int(t.GetPort())}
	}
	if c := p.GetCommand(); c != nil {
		out.Command = &deployer.CommandProbe{Command: c.GetCommand()}
	}
	return out
}

func toHTTPProbe(h *deployer.HTTPProbe) *pb.HTTPProbe {
	if h == nil {
		return nil
	}
	return &pb.HTTPProbe{
		Scheme: toText(h.Scheme), Host: toText(h.Host), Port: int64(h.Port), Method: toText(h.Method),
		Path: toText(h.Path), Headers: toTextMap(h.Headers), Statuses: each(h.Statuses, toStatusRange),
		BodyMatches: toText(h.BodyMatches), Tls: toProbeTLS(h.TLS),
	}
}

func fromHTTPProbe(h *pb.HTTPProbe) *deployer.HTTPProbe {
	if h == nil {
		return nil
	}
	return &deployer.HTTPProbe{
		Scheme: h.GetScheme(), Host: h.GetHost(), Port: int(h.GetPort()), Method: h.GetMethod(),
		Path: h.GetPath(), Headers: fromMap(h.GetHeaders()), Statuses: each(h.GetStatuses(), fromStatusRange),
		BodyMatches: h.GetBodyMatches(), TLS: fromProbeTLS(h.GetTls()),
	}
}

func toStatusRange(r deployer.StatusRange) *pb.StatusRange {
	return &pb.StatusRange{From: int64(r.From), To: int64(r.To)}
}

func fromStatusRange(r *pb.StatusRange) deployer.StatusRange {
	return deployer.StatusRange{From: int(r.GetFrom()), To: int(r.GetTo())}
}

func toGRPCProbe(g *deployer.GRPCProbe) *pb.GRPCProbe {
	if g == nil {
		return nil
	}
	return &pb.GRPCProbe{
		Host: toText(g.Host), Port: int64(g.Port), Service: toText(g.Service), Secure: g.Secure, Tls: toProbeTLS(g.TLS),
	}
}

func fromGRPCProbe(g *pb.GRPCProbe) *deployer.GRPCProbe {
	if g == nil {
		return nil
	}
	return &deployer.GRPCProbe{
		Host: g.GetHost(), Port: int(g.GetPort()), Service: g.GetService(), Secure: g.GetSecure(), TLS: fromProbeTLS(g.GetTls()),
	}
}

func toProbeTLS(t *deployer.ProbeTLS) *pb.ProbeTLS {
	if t == nil {
		return nil
	}
	return &pb.ProbeTLS{ServerName: toText(t.ServerName), Ca: toText(t.CA)}
}

func fromProbeTLS(t *pb.ProbeTLS) *deployer.ProbeTLS {
	if t == nil {
		return nil
	}
	return &deployer.ProbeTLS{ServerName: t.GetServerName(), CA: t.GetCa()}
}

// newer says that a message, or one inside it, has fields of a later version of
// the protocol.
func newer(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for n := range v.List().Len() {
				found = found || newer(v.List().Get(n).Message())
			}
		default:
			found = found || newer(v.Message())
		}
		return !found
	})
	return found
}
