/** A modal panel: slides up on a phone, stands at the side or in the middle on a desk. Focus and Escape by <dialog>. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { X } from "lucide-preact";
import { t } from "../i18n/i18n";

type Props = {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  footer?: ComponentChildren;
  side?: boolean;
  class?: string;
};

export function Sheet({ title, onClose, children, footer, side, class: extra }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      class={`sheet ${side ? "sheet-side" : ""} ${extra ?? ""}`}
      aria-label={title}
      data-no-swipe
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === ref.current && onClose()}
    >
      <div class="sheet-body">
        <header class="sheet-head">
          <h2>{title}</h2>
          <button type="button" class="icon-button" aria-label={t("close")} onClick={onClose}>
            <X aria-hidden="true" />
          </button>
        </header>
        <div class="sheet-content" tabIndex={-1}>
          {children}
        </div>
        {footer && <footer class="sheet-foot">{footer}</footer>}
      </div>
    </dialog>
  );
}
