import { useState } from 'react';
import { flushSync } from 'react-dom';

import { isSendKey } from './keys';

interface Props {
  onSend: (text: string) => void;
  isReady: boolean;
}

/** On phones the keyboard should not jump up before anyone asked for it. */
const wantsFocus = () => matchMedia('(pointer: fine)').matches;

export function Composer({ onSend, isReady }: Props) {
  const [text, setText] = useState('');

  const send = () => {
    if (!isReady || text.trim() === '') return;
    flushSync(() => setText('')); // at once, so that a second press finds nothing to send
    onSend(text);
  };

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        aria-label="Mensagem"
        placeholder="Escreva uma mensagem"
        rows={1}
        dir="auto"
        value={text}
        autoFocus={wantsFocus()}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => isSendKey(event.nativeEvent) && (event.preventDefault(), send())}
      />
      <button type="submit" className="primary" disabled={!isReady || text.trim() === ''}>
        Enviar
      </button>
    </form>
  );
}
