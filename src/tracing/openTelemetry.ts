/**
 * Traces with OpenTelemetry over OTLP. Spans hold names, counts and codes, but never a body, a key
 * or a signature.
 */
import {
  context,
  propagation,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { ApiError } from '../contract/errors'
import { endsWithin } from '../lib/timeout'
import type { Mailbox } from '../mailbox'
import type { Tracing } from './tracing'

/** How long closing waits for the collector to take the remaining spans. */
const CLOSE_TIMEOUT_MS = 1000

export function createTracing(endpoint: string, attributes: Attributes): Tracing {
  const provider = new NodeTracerProvider({
    resource: defaultResource().merge(resourceFromAttributes(attributes)),
    spanProcessors: [
      new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint}/v1/traces` })),
    ],
  })
  // Sets the context manager, and the propagator for the headers of W3C Trace Context.
  provider.register()
  const tracer = provider.getTracer('messagebox-server')

  const middleware: Tracing['middleware'] = (routeOf, isTrusted) => (req, res, next) => {
    const route = routeOf(req.path)
    const parent = isTrusted(req)
      ? propagation.extract(context.active(), req.headers)
      : context.active()
    const span = tracer.startSpan(
      `${req.method} ${route}`,
      {
        kind: SpanKind.SERVER,
        attributes: { 'http.request.method': req.method, 'http.route': route },
      },
      parent,
    )
    res.once('close', () => {
      if (res.headersSent) span.setAttribute('http.response.status_code', res.statusCode)
      if (!res.headersSent || res.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    })
    context.with(trace.setSpan(parent, span), next)
  }

  const inSpan = async <T>(
    name: string,
    attributes: Attributes,
    work: () => Promise<T>,
  ): Promise<T> => {
    return await tracer.startActiveSpan(
      name,
      { attributes },
      async (span) => await finish(span, work),
    )
  }

  const traceMailbox = ({ send, list, acknowledge }: Mailbox): Mailbox => ({
    send: async (sender, message) =>
      await inSpan(
        'mailbox.send',
        { 'messagebox.recipients': message.recipients.length },
        async () => await send(sender, message),
      ),
    list: async (recipient, request) =>
      await inSpan(
        'mailbox.list',
        { 'messagebox.limit': request.limit },
        async () => await list(recipient, request),
      ),
    acknowledge: async (recipient, ids) =>
      await inSpan('mailbox.acknowledge', { 'messagebox.ids': ids.length }, async () => {
        await acknowledge(recipient, ids)
      }),
  })

  return {
    middleware,
    trace: traceMailbox,
    close: async () => {
      await endsWithin(provider.shutdown(), CLOSE_TIMEOUT_MS)
    },
  }
}

async function finish<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    span.setStatus({
      code: SpanStatusCode.ERROR,
      message: error instanceof ApiError ? error.code : 'ERR_INTERNAL',
    })
    throw error
  } finally {
    span.end()
  }
}
