import { Component, type ReactNode } from 'react';

/** A fault of the page's own code leaves words and a way out, not an empty window. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { hasFailed: boolean }> {
  override state = { hasFailed: false };

  static getDerivedStateFromError() {
    return { hasFailed: true };
  }

  override render() {
    if (!this.state.hasFailed) return this.props.children;
    return (
      <main className="join">
        <h1>Salas</h1>
        <p role="alert" className="refusal">
          Esta página teve um problema. O que foi enviado está guardado.
        </p>
        <button type="button" className="primary" onClick={() => location.reload()}>
          Recarregar
        </button>
      </main>
    );
  }
}
