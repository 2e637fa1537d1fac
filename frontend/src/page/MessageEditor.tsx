import { type KeyboardEvent, useState } from 'react';

import { isCancelKey, isSendKey } from './keys';

interface Props {
  text: string;
  /** Resolves to why it was refused, or to null. */
  onSave: (text: string) => Promise<string | null>;
  onClose: () => void;
}

export function MessageEditor({ text, onSave, onClose }: Props) {
  const [draft, setDraft] = useState(text);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [isSaving, setIsSaving] = useState(false);

  async function save() {
    if (isSaving || draft.trim() === '') return;
    if (draft === text) return onClose();
    setIsSaving(true);
    const why = await onSave(draft);
    setIsSaving(false);
    if (why === null) onClose();
    else setRefusal(why);
  }

  const onKeyDown = (event: KeyboardEvent) => {
    if (isCancelKey(event.nativeEvent)) onClose();
    if (!isSendKey(event.nativeEvent)) return;
    event.preventDefault();
    void save();
  };

  return (
    <form
      className="editor"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <textarea
        aria-label="Editar mensagem"
        dir="auto"
        rows={2}
        autoFocus
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={onKeyDown}
      />
      {refusal && (
        <p role="alert" className="refusal">
          {refusal}
        </p>
      )}
      <p className="controls">
        <button type="submit" disabled={isSaving || draft.trim() === ''}>
          Salvar
        </button>
        <button type="button" onClick={onClose}>
          Cancelar
        </button>
      </p>
    </form>
  );
}
